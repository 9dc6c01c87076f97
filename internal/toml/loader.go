package toml

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// Loader reads files into structs and collects their problems.
type Loader struct {
	FS fs.FS

	file     string // the file that was read last
	problems Problems
}

// Read reads one file into the struct that into points to, see [Decode].
func (l *Loader) Read(name string, into any) {
	l.file = path.Base(name)
	b, err := fs.ReadFile(l.FS, name)
	if err != nil {
		l.Complain(0, "%v", err)
		return
	}
	l.problems = append(l.problems, Decode(l.file, b, into)...)
}

// Part reads some keys of a file whose other keys another package reads.
func (l *Loader) Part(name string, data []byte, into any, keys ...string) {
	l.file = name
	t, problems := Parse(name, data)
	if len(problems) == 0 {
		t = &Table{Line: t.Line, Fields: slices.DeleteFunc(t.Fields, func(f Field) bool { return !slices.Contains(keys, f.Key) })}
		problems = t.Decode(name, into)
	}
	l.problems = append(l.problems, problems...)
}

// Complain notes a problem in a line of the file that was read last; line 0 means the
// whole file.
func (l *Loader) Complain(line Line, format string, args ...any) {
	l.problems = append(l.problems, Problem{File: l.file, Line: int(line), Message: fmt.Sprintf(format, args...)})
}

// Join adds the problems of another loader, from its Err.
func (l *Loader) Join(err error) {
	var ps Problems
	if errors.As(err, &ps) {
		l.problems = append(l.problems, ps...)
	}
}

// Err returns all problems in the order of files and lines, nil if there are none.
func (l *Loader) Err() error {
	l.problems.Sort()
	return l.problems.Err()
}
