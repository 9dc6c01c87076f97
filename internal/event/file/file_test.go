package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/lab/smalldisk"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

func items(lines ...string) []event.Item {
	var list []event.Item
	for _, l := range lines {
		list = append(list, event.Item{JSON: []byte(l)})
	}
	return list
}

func send(t *testing.T, s *Sink, lines ...string) {
	t.Helper()
	sent, err := s.Send(context.Background(), items(lines...))
	if err != nil || sent.Done != len(lines) {
		t.Fatalf("sent %+v, %v", sent, err)
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, want %q (%v)", filepath.Base(path), got, want, err)
	}
}

func TestSend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	s, err := New(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	send(t, s, `{"id":"1"}`, `{"id":"2"}`)
	send(t, s, `{"id":"3"}`)
	holds(t, path, "{\"id\":\"1\"}\n{\"id\":\"2\"}\n{\"id\":\"3\"}\n")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	send(t, s, `{"id":"4"}`)
	holds(t, path, "{\"id\":\"1\"}\n{\"id\":\"2\"}\n{\"id\":\"3\"}\n{\"id\":\"4\"}\n")
}

// A file that is moved away, replaced or removed is created anew.
func TestMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	s, _ := New(Options{Path: path})
	send(t, s, "1")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	send(t, s, "2")
	holds(t, path+".1", "1\n")
	holds(t, path, "2\n")
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("of logrotate\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	send(t, s, "3")
	holds(t, path, "of logrotate\n3\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	send(t, s, "4")
	holds(t, path, "4\n")
	if err := os.Truncate(path, 0); err != nil { // copytruncate
		t.Fatal(err)
	}
	send(t, s, "5")
	holds(t, path, "5\n")
	s.Reopen()
	send(t, s, "6")
	holds(t, path, "5\n6\n")
}

// If a crash left half a line, the next record begins on a new line.
func TestTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(path, []byte("1\n{\"id\":"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := New(Options{Path: path})
	send(t, s, "2", "3")
	holds(t, path, "1\n{\"id\":\n2\n3\n")
}

func TestMissingFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sub")
	s, _ := New(Options{Path: filepath.Join(dir, "events.jsonl")})
	if _, err := s.Send(context.Background(), items("1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	send(t, s, "1")
}

// On a full disk, complete lines are written and half a line is removed again.
func TestFull(t *testing.T) {
	smalldisk.Run(t, "16k", func(t *testing.T, dir string) {
		path := filepath.Join(dir, "events.jsonl")
		s, _ := New(Options{Path: path})
		line := strings.Repeat("x", 999)
		var batch []event.Item
		for range 30 {
			batch = append(batch, event.Item{JSON: []byte(line)})
		}
		sent, err := s.Send(context.Background(), batch)
		if !errors.Is(err, syscall.ENOSPC) || sent.Done == 0 || sent.Done == len(batch) {
			t.Fatalf("sent %+v, %v", sent, err)
		}
		holds(t, path, strings.Repeat(line+"\n", sent.Done))
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		send(t, s, "again")
		holds(t, path, "again\n")
	})
}

// A pipe that nobody reads is an error. If the reader of a pipe stalls, writing ends when
// the context does.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := New(Options{Path: path})
	if _, err := s.Send(context.Background(), items("1")); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("nobody reads: %v", err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	send(t, s, "1")
	got := make([]byte, 100)
	if n, err := reader.Read(got); err != nil || string(got[:n]) != "1\n" {
		t.Errorf("read %q, %v", got[:n], err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	if _, err := s.Send(ctx, items(strings.Repeat("x", 1<<20))); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a reader that stalls: %v", err)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                        "k.path: is missing: write the file's path, or \"-\" for standard output",
		"-":                       "",
		"events.jsonl":            "k.path: \"events.jsonl\" is a relative path: write it from the root",
		dir + "/events.jsonl":     "",
		file:                      "",
		dir:                       fmt.Sprintf("k.path: %s is a folder: name a file", dir),
		dir + "/sub/events.jsonl": fmt.Sprintf("k.path: the folder %s/sub does not exist: create it", dir),
		file + "/events.jsonl":    fmt.Sprintf("k.path: %s is not a folder: name a file in a folder", file),
	} {
		o := Options{Path: path}
		var ps toml.Problems
		if o.Check(&ps, "k"); len(ps) == 0 {
			o.CheckHost(&ps, "k")
		}
		if ps.Error() != want {
			t.Errorf("%q: %q, want %q", path, ps.Error(), want)
		}
	}
}
