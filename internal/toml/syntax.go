package toml

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// bareWord is a value that lacks its quotes.
const bareWord = `^\s*([A-Za-z0-9_.-]+)\s*=\s*([^\s"'\[{#][^"'#]*?)\s*(#.*)?$`

// maxMistakes bounds how many mistakes are looked for, since the file is read anew for
// each.
const maxMistakes = 10

// mistakes says where a file is not TOML, of which err is the first place. A line that is
// wrong by itself is left out, and the rest is read again, so that several mistakes are
// found at once. It returns what is left of the file, nil if a mistake may reach beyond
// its line.
func mistakes(name string, data []byte, err error) (*Table, Problems) {
	lines := strings.Split(string(data), "\n")
	var problems Problems
	for ; err != nil; err = unmarshal(lines) {
		p := syntax(name, lines, err)
		alone := isAlone(lines, p.Line)
		if alone || len(problems) == 0 {
			problems = append(problems, p)
		}
		if !alone || len(problems) == maxMistakes {
			return nil, problems // what follows may come of this one
		}
		if text := &lines[p.Line-1]; strings.HasPrefix(strings.TrimSpace(*text), "[") {
			*text = fmt.Sprintf("[[%q]]", unreadable) // takes the keys below, which would be another table's
		} else {
			*text = ""
		}
	}
	t := tree([]byte(strings.Join(lines, "\n")))
	t.Fields = slices.DeleteFunc(t.Fields, func(f Field) bool { return f.Key == unreadable })
	t.index = nil
	return t, problems
}

// unreadable is the table below a header that cannot be read. Nobody calls one so.
const unreadable = "(unreadable)"

func unmarshal(lines []string) error {
	var whole map[string]any
	return toml.Unmarshal([]byte(strings.Join(lines, "\n")), &whole)
}

// begins matches the beginning of a key with its value, and of a header.
var begins = regexp.MustCompile(`^\s*([A-Za-z0-9_."'-]+\s*=|\[)`)

// isAlone reports whether the mistake in a line is within that line: it is none that a
// line before it has caused, and it begins nothing that ends on a later line.
func isAlone(lines []string, line int) bool {
	if line < 1 || line > len(lines) {
		return false
	}
	text := lines[line-1]
	if !begins.MatchString(text) || strings.Contains(text, `"""`) || strings.Contains(text, "'''") {
		return false
	}
	return unmarshal(lines[line-1:line]) != nil
}

// syntax says where a file is not TOML, with the mend if it is known and the text of
// the line if not.
func syntax(name string, lines []string, err error) Problem {
	p := Problem{File: name, Line: 1, Message: "not TOML: " + strings.TrimPrefix(err.Error(), "toml: ")}
	var de *toml.DecodeError
	if !errors.As(err, &de) {
		return p
	}
	p.Line, _ = de.Position()
	if p.Line < 1 || p.Line > len(lines) {
		return p
	}
	text := strings.TrimSpace(lines[p.Line-1])
	if m := regexp.MustCompile(bareWord).FindStringSubmatch(text); m != nil && unmarshal(lines[p.Line-1:p.Line]) != nil {
		p.Message += fmt.Sprintf(": put quotes around the value, %s = %s", m[1], Quote(m[2]))
	} else if text != "" {
		p.Message += ", in: " + excerpt(text)
	}
	return p
}

// excerpt returns the beginning of a line.
func excerpt(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
