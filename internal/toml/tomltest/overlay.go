// Package tomltest helps to test what reads data files.
package tomltest

import (
	"io/fs"
	"testing"
	"testing/fstest"
)

// Overlay is the files data/*.toml of fsys with some in their place, by their names
// below data; one whose text is empty is not there.
func Overlay(t *testing.T, fsys fs.FS, files map[string]string) fs.FS {
	t.Helper()
	all := fstest.MapFS{}
	names, err := fs.Glob(fsys, "data/*.toml")
	if err != nil || len(names) == 0 {
		t.Fatal("no data files", err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: b}
	}
	for name, text := range files {
		delete(all, "data/"+name)
		if text != "" {
			all["data/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return all
}
