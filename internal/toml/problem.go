package toml

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Problem is something wrong with a file or with an option: where it is, and how to
// mend it.
type Problem struct {
	File string // "" if it is in no file
	Line int    // 0 if it is in no line
	// Key is "limits.max_octets", "listen[1]" for an item of a list, or
	// "action[0].name" in a table [[action]]; "" if the problem is about no key.
	Key     string
	Message string
}

// places matches the indices in a Key. String leaves them out, because the line says
// which item is meant.
var places = regexp.MustCompile(`\[\d+\]`)

// String returns "file:line: key: message", without the parts that are not known.
func (p Problem) String() string {
	s := p.Message
	if p.Key != "" {
		s = places.ReplaceAllString(p.Key, "") + ": " + s
	}
	switch {
	case p.File == "":
		return s
	case p.Line == 0:
		return p.File + ": " + s
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, s)
}

// Problems is everything that is wrong, as an error.
type Problems []Problem

// Error lists the problems, one per line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns the problems as an error, nil if there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// Add adds a problem with an option.
func (ps *Problems) Add(key, format string, args ...any) {
	*ps = append(*ps, Problem{Key: key, Message: fmt.Sprintf(format, args...)})
}

// Sort puts the problems in the order of files and lines.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
}

// maxListed is how many names a message lists at most if none is similar.
const maxListed = 24

// DidYouMean returns the end of a message about an unknown name: the name that was
// probably meant, or all known names if they are few.
func DidYouMean(name string, known []string) string {
	near := Nearest(name, known)
	switch {
	case strings.HasPrefix(near, "["):
		return fmt.Sprintf(": did you mean %s?", near)
	case near != "":
		return fmt.Sprintf(": did you mean %q?", near)
	case len(known) > maxListed:
		return ""
	}
	return thereAre(known)
}

func thereAre(known []string) string {
	switch len(known) {
	case 0:
		return ""
	case 1:
		return ": there is only " + known[0]
	}
	return ": there are " + strings.Join(known, ", ")
}

// maxWord bounds the words that are compared, because the cost grows with the square
// of their length.
const maxWord = 64

// Nearest returns the word that was probably meant: the candidate that is the fewest
// edits away, "" if none is similar.
func Nearest(word string, candidates []string) string {
	if len(word) > maxWord {
		return ""
	}
	best, fewest := "", 1+max(1, len(word)/3)
	for _, c := range candidates {
		if len(c) > maxWord {
			continue
		}
		if d := edits(strings.ToLower(word), c); d < fewest {
			best, fewest = c, d
		}
	}
	return best
}

// edits counts the single-octet insertions, deletions, replacements and swaps of
// neighbours that turn b into a.
func edits(a, b string) int {
	before := make([]int, len(b)+1) // the row two above
	above := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
