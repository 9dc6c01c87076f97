package rules

import "github.com/bounce-milter/bounce-milter/internal/toml"

// Problem is one thing wrong with the data: where, and how to mend it.
type Problem = toml.Problem

// Problems is every problem found at once, as an error.
type Problems = toml.Problems
