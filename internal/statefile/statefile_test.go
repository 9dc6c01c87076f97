package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var kind = Kind{Name: "test", Version: 2, Most: 1000, Key: "test.file"}

func TestKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if _, err := kind.Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	for _, body := range []string{"one", "", "two\nlines\n"} {
		if err := kind.Write(path, []byte(body)); err != nil {
			t.Fatal(err)
		}
		if got, err := kind.Read(path); string(got) != body || err != nil {
			t.Errorf("%q, %v, want %q", got, err, body)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("files are left over: %v", entries)
	}
}

func TestNotTrusted(t *testing.T) {
	tests := []struct {
		name   string
		do     func(path string)
		read   string // the error
		writes bool   // it may be written over
	}{
		{"empty", func(p string) { os.Truncate(p, 0) }, "is empty: it is written anew", true},
		{"cut", func(p string) { os.Truncate(p, 40) }, "is cut off or damaged: it is written anew", true},
		{"cut in its first line", func(p string) { os.Truncate(p, 5) }, "is cut off or damaged", true},
		{"another version", func(p string) { Kind{Name: "test", Version: 1, Most: 1000}.Write(p, []byte("x")) }, "is of version 1, while this program knows version 2", true},
		{"of another kind", func(p string) { os.Remove(p); Kind{Name: "other", Version: 2, Most: 1000}.Write(p, []byte("x")) }, "is no state file of this program, and is left alone: name another file in test.file", false},
		{"another program's", func(p string) { os.WriteFile(p, []byte("root:x:0:0\n"), 0o600) }, "is no state file of this program", false},
		{"others may write", func(p string) { os.Chmod(p, 0o620) }, "others may write (mode 0620)", false},
		{"large", func(p string) { os.Truncate(p, 2000) }, "is too large", false},
		{"a folder", func(p string) { os.Remove(p); os.Mkdir(p, 0o700) }, "is not a file", false},
		{"a link", func(p string) { os.Rename(p, p+"2"); os.Symlink(p+"2", p) }, "is a symbolic link: name the file itself in test.file", false},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "state")
		if err := kind.Write(path, []byte("a body")); err != nil {
			t.Fatal(err)
		}
		tt.do(path)
		if _, err := kind.Read(path); err == nil || !strings.Contains(err.Error(), tt.read) {
			t.Errorf("%s: read: %v, want %q", tt.name, err, tt.read)
		}
		if err := kind.Check(path, os.Geteuid()); (err == nil) != tt.writes {
			t.Errorf("%s: checked: %v", tt.name, err)
		}
		if err := kind.Write(path, []byte("new")); (err == nil) != tt.writes {
			t.Errorf("%s: written: %v", tt.name, err)
		}
	}
	if err := kind.Write(filepath.Join(t.TempDir(), "none", "state"), nil); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("without a folder: %v", err)
	}
}
