package dsn

import (
	"embed"
	"fmt"
	"io/fs"
	"sync"

	"github.com/bounce-milter/bounce-milter/classify/dsn/notice"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

//go:embed data/*.toml
var dataFiles embed.FS

// data is what the data files say.
type data struct {
	tables  *reportTables
	notices *notice.Data
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

func tables() *reportTables { return known().tables }
func notices() *notice.Data { return known().notices }

// loadData reads the data files: those below data/, and those about notices.
func loadData(fsys fs.FS) (*data, error) {
	l := toml.Loader{FS: fsys}
	t := loadTables(&l)
	n, _, err := notice.Load()
	l.Join(err)
	if err := l.Err(); err != nil {
		return nil, fmt.Errorf("reading the data about reports: %w", err)
	}
	return &data{t, n}, nil
}
