package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestUnreadable(t *testing.T) {
	folder := t.TempDir()
	_, absent := os.ReadFile(filepath.Join(folder, "absent"))
	_, notAFile := os.ReadFile(folder)
	for _, tt := range []struct {
		err  error
		want string
	}{
		{absent, "the file key.pem does not exist: make it"},
		{&fs.PathError{Op: "open", Path: "key.pem", Err: fs.ErrPermission}, "the file key.pem cannot be read by the daemon's user: give it"},
		{notAFile, "the file key.pem cannot be read: is a directory"},
		{errors.New("no key"), "the file key.pem cannot be read: no key"},
	} {
		if got := Unreadable("key.pem", tt.err, "make it", "give it"); got.Error() != tt.want {
			t.Errorf("got  %v\nwant %s", got, tt.want)
		}
	}
}

func TestWhy(t *testing.T) {
	folder := t.TempDir()
	if err := Why(os.Rename(filepath.Join(folder, "a"), filepath.Join(folder, "b"))); err.Error() != "no such file or directory" {
		t.Errorf("got %v", err)
	}
	if Why(nil) != nil {
		t.Error("no error becomes one")
	}
}
