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

// data is the contents of the data files.
type data struct {
	tables  *reportTables
	notices *notice.Data
}

// builtIn reads the embedded data files, once.
var builtIn = sync.OnceValues(func() (*data, error) { return loadData(dataFiles) })

// Load reads the embedded data about reports, notices and automatic replies. It need not
// be called, because the data are read when they are first needed. But if a change has
// broken them, Load returns an error that names every mistake with file and line, while
// the other functions panic with it.
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

// loadData reads the files in data/, and those of package notice.
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
