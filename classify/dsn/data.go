package dsn

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"sync"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

//go:embed data/*.toml
var dataFiles embed.FS

// data is what the data files say.
type data struct {
	tables  *reportTables
	notices *noticeData
	replies *autoReplyData
	gate    *gateData
}

// builtIn reads the data files that are part of the program, once.
var builtIn = sync.OnceValues(func() (*data, error) { return loadData(dataFiles) })

// Load reads what the program knows of reports, notices and automatic replies.
// It need not be called: whatever wants the data reads them. But where they are
// broken, which a change of them can do, this is an error that names every
// mistake with file and line, and whatever wants the data panics with it.
func Load() error {
	_, err := builtIn()
	return err
}

func known() *data {
	d, err := builtIn()
	if err != nil {
		panic(err)
	}
	return d
}

func tables() *reportTables       { return known().tables }
func notices() *noticeData        { return known().notices }
func autoReplies() *autoReplyData { return known().replies }
func gates() *gateData            { return known().gate }

// loadData reads the data files below data/.
func loadData(fsys fs.FS) (*data, error) {
	var d data
	l := loader{fsys: fsys}
	d.tables = loadTables(&l)
	d.notices = loadNotices(&l)
	d.replies = loadAutoReplies(&l)
	l.problems.Sort()
	if err := l.problems.Err(); err != nil {
		return nil, fmt.Errorf("reading the data about reports: %w", err)
	}
	d.gate = makeGate(d.notices, d.replies)
	return &d, nil
}

// loader reads data files and collects what is wrong with them.
type loader struct {
	fsys     fs.FS
	file     string         // the one that was read last
	formats  []noticeFormat // that were read, with their examples
	problems toml.Problems
}

// read reads one file into the struct that into points to.
func (l *loader) read(name string, into any) {
	l.file = path.Base(name)
	b, err := fs.ReadFile(l.fsys, name)
	if err != nil {
		l.complain(0, "%v", err)
		return
	}
	l.problems = append(l.problems, toml.Decode(l.file, b, into)...)
}

func (l *loader) complain(line toml.Line, format string, args ...any) {
	l.problems = append(l.problems, toml.Problem{File: l.file, Line: int(line), Message: fmt.Sprintf(format, args...)})
}
