// Package file appends records to a file, or standard output, as JSON lines.
package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Stdout is the path that means standard output.
const Stdout = "-"

// Options are an administrator's settings of a file sink.
type Options struct {
	Path string // absolute, or Stdout
}

// Check adds what is wrong with the options. key is the sink's table in the configuration
// file: "events.sink[0]" leads to "events.sink[0].path".
func (o *Options) Check(ps *toml.Problems, key string) {
	key += ".path"
	switch {
	case o.Path == "":
		ps.Add(key, `is missing: write the file's path, or "-" for standard output`)
	case o.Path != Stdout && !filepath.IsAbs(o.Path):
		ps.Add(key, "%q is a relative path: write it from the root", o.Path)
	}
}

// CheckHost adds what the options refer to and this host does not have.
func (o *Options) CheckHost(ps *toml.Problems, key string) {
	if o.Path == Stdout {
		return
	}
	key += ".path"
	if info, err := os.Stat(o.Path); err == nil && info.IsDir() {
		ps.Add(key, "%s is a folder: name a file", o.Path)
		return
	}
	dir := filepath.Dir(o.Path)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		ps.Add(key, "the folder %s does not exist: create it", dir)
	case err != nil:
		ps.Add(key, "%v", err)
	case !info.IsDir():
		ps.Add(key, "%s is not a folder: name a file in a folder", dir)
	}
}
