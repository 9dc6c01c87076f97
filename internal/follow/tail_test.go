package follow

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reader reads a log in steps, with a clock of its own.
type reader struct {
	t    *testing.T
	dir  string
	tail *tail
	now  time.Time
	got  bytes.Buffer
}

func newReader(t *testing.T) *reader {
	r := &reader{t: t, dir: t.TempDir(), now: time.Unix(1e9, 0)}
	r.start(nil)
	return r
}

func (r *reader) path(name string) string { return filepath.Join(r.dir, name) }

// start begins anew, where an earlier reader was.
func (r *reader) start(was *Place) {
	r.tail = &tail{path: r.path("mail.log"), log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	r.t.Cleanup(r.tail.close)
	r.tail.resume(was, r.pass)
}

func (r *reader) pass(lines []byte) {
	if len(lines) == 0 || lines[len(lines)-1] != '\n' {
		r.t.Errorf("half a line is passed on: %q", lines)
	}
	r.got.Write(lines)
}

// read reads all that is there, and for the time that a rotated file is still read.
func (r *reader) read() {
	for range 3 {
		for r.tail.step(r.now, r.pass) {
		}
		r.now = r.now.Add(grace)
	}
}

// behind has the log begin with lines, reads them, and returns the place behind them.
func (r *reader) behind(lines string) Place {
	r.t.Helper()
	r.read()
	r.add("mail.log", lines)
	r.read()
	return r.tail.place
}

func (r *reader) add(name, text string) {
	r.t.Helper()
	f, err := os.OpenFile(r.path(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *reader) move(from, to string) {
	r.t.Helper()
	if err := os.Rename(r.path(from), r.path(to)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reader) copy(from, to string) {
	r.t.Helper()
	data, err := os.ReadFile(r.path(from))
	if err == nil {
		err = os.WriteFile(r.path(to), data, 0o600)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *reader) compress(name string) {
	r.t.Helper()
	data, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	if err := os.WriteFile(r.path(name+".gz"), b.Bytes(), 0o600); err != nil {
		r.t.Fatal(err)
	}
	os.Remove(r.path(name))
}

func (r *reader) want(lines string) {
	r.t.Helper()
	if got := strings.ReplaceAll(r.got.String(), "\n", " "); got != lines {
		r.t.Errorf("read %q, want %q", got, lines)
	}
	r.got.Reset()
}

func TestTail(t *testing.T) {
	tests := []struct {
		name string
		do   func(r *reader)
	}{
		{"created late", func(r *reader) {
			r.read()
			r.add("mail.log", "a\nb\n")
			r.read()
			r.want("a b ")
		}},
		{"from now on", func(r *reader) {
			r.add("mail.log", "old\nhal")
			r.start(nil)
			r.read()
			r.add("mail.log", "f\na\n")
			r.read()
			r.want("half a ")
		}},
		{"in pieces", func(r *reader) {
			r.read()
			for _, piece := range []string{"a", "b", "\nc", "\n\n", "d"} {
				r.add("mail.log", piece)
				r.read()
			}
			r.want("ab c  ")
		}},
		{"rotated, and written to for a while after that", func(r *reader) {
			r.read()
			r.add("mail.log", "a\n")
			r.tail.step(r.now, r.pass)
			r.tail.step(r.now, r.pass)
			r.move("mail.log", "mail.log.1")
			r.add("mail.log", "c\n")
			r.tail.step(r.now, r.pass)
			r.add("mail.log.1", "b\nhalf")
			r.read()
			r.want("a b half c ")
		}},
		{"rotated twice at once", func(r *reader) {
			r.read()
			r.add("mail.log", "a\n")
			for r.tail.step(r.now, r.pass) {
			}
			r.move("mail.log", "mail.log.2")
			r.add("mail.log.1", "b\n")
			r.add("mail.log", "c\n")
			r.read()
			r.move("mail.log", "mail.log.2")
			r.compress("mail.log.2")
			os.Remove(r.path("mail.log.1"))
			r.add("mail.log.1", "d\n")
			r.add("mail.log", "e\n")
			r.read()
			r.want("a b c d e ")
		}},
		{"rotated, and the new one comes late", func(r *reader) {
			r.add("mail.log", "x\n")
			r.start(nil)
			r.move("mail.log", "mail.log.1")
			r.read()
			r.add("mail.log.1", "a\n")
			r.read()
			r.add("mail.log", "b\n")
			r.read()
			r.want("a b ")
		}},
		{"truncated", func(r *reader) {
			r.behind("first\nsecond\n")
			os.Truncate(r.path("mail.log"), 0)
			r.add("mail.log", "a\n")
			r.read()
			r.want("first second a ")
		}},
		{"truncated, and longer than before", func(r *reader) {
			r.behind("first\n")
			os.Truncate(r.path("mail.log"), 0)
			r.add("mail.log", "other, and longer\nb\n")
			r.read()
			r.want("first other, and longer b ")
		}},
		{"copied and truncated, with lines that nobody had read", func(r *reader) {
			r.add("mail.log", "old\n")
			r.start(nil)
			r.add("mail.log", "a\nhal")
			r.tail.step(r.now, r.pass)
			r.add("mail.log", "f\nb\n")
			r.copy("mail.log", "mail.log.1")
			os.Truncate(r.path("mail.log"), 0)
			r.add("mail.log", "c\n")
			r.read()
			r.want("a half b c ")
		}},
		{"a new process after a copy was made", func(r *reader) {
			place := r.behind("a\n")
			r.add("mail.log", "b\n")
			r.copy("mail.log", "mail.log.1")
			r.add("mail.log.1", "c\n")
			r.copy("mail.log", "mail.log.early")
			os.Truncate(r.path("mail.log"), 0)
			r.start(&place)
			r.add("mail.log", "d\n")
			r.read()
			r.want("a b c d ")
		}},
		{"truncated, beside an older log that begins alike", func(r *reader) {
			r.add("mail.log.1", "a\nb\n")
			os.Chtimes(r.path("mail.log.1"), time.Time{}, time.Now().Add(-time.Hour))
			r.behind("a\n")
			os.Truncate(r.path("mail.log"), 0)
			r.read()
			r.add("mail.log", "c\n")
			r.read()
			r.want("a c ")
		}},
		{"a new process after several rotations", func(r *reader) {
			place := r.behind("a\n")
			r.add("mail.log", "b\n")
			r.move("mail.log", "mail.log.3")
			r.add("mail.log.2", "c\n")
			r.compress("mail.log.2")
			r.add("mail.log.1", "d\nhalf")
			r.compress("mail.log.1")
			r.add("mail.log.1", "d\nhalf") // it is being compressed
			r.add("mail.log.4", "older\n")
			r.add("mail.log.bak", "no log\n")
			r.add("mail.log", "e\n")
			r.start(&place)
			r.read()
			r.want("a b c d half e ")
		}},
		{"a new process", func(r *reader) {
			r.add("mail.log", "a\n")
			r.start(&Place{}) // of no file: from the beginning
			r.read()
			place := r.tail.place
			r.add("mail.log", "b\n")
			r.start(&place)
			r.read()
			r.want("a b ")
		}},
		{"a new process after a rotation", func(r *reader) {
			place := r.behind("a\n")
			r.add("mail.log", "b\n")
			r.move("mail.log", "mail.log-20261122")
			r.add("mail.log", "c\n")
			r.start(&place)
			r.read()
			r.want("a b c ")
		}},
		{"a new process after a rotation and compression", func(r *reader) {
			place := r.behind("a\n")
			r.add("mail.log", "b\nhalf")
			r.move("mail.log", "mail.log.1")
			r.compress("mail.log.1")
			r.add("mail.log.1.xz", "none of ours")
			r.add("mail.log", "c\n")
			r.start(&place)
			r.read()
			r.want("a b half c ")
		}},
		{"a new process, and the old file is gone", func(r *reader) {
			place := r.behind("a\n")
			os.Remove(r.path("mail.log"))
			r.add("mail.log", "c\n")
			r.start(&place)
			r.read()
			r.want("a c ")
		}},
		{"a folder, then a file", func(r *reader) {
			os.Mkdir(r.path("mail.log"), 0o700)
			r.read()
			if r.tail.trouble != "is not a file" {
				r.t.Errorf("trouble: %q", r.tail.trouble)
			}
			os.Remove(r.path("mail.log"))
			r.add("mail.log", "a\n")
			r.read()
			r.want("a ")
			if r.tail.trouble != "" {
				r.t.Errorf("trouble: %q", r.tail.trouble)
			}
		}},
		{"a line that is too long", func(r *reader) {
			r.read()
			r.add("mail.log", "a\n"+strings.Repeat("x", 3*maxLine)+"\nb\n")
			r.read()
			lines := strings.Split(r.got.String(), "\n")
			if len(lines) != 4 || lines[0] != "a" || len(lines[1]) > maxLine || lines[2] != "b" {
				r.t.Errorf("%d lines, the second of %d octets", len(lines), len(lines[1]))
			}
			r.got.Reset()
			r.add("mail.log", "c\n")
			r.read()
			r.want("c ")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.do(newReader(t)) })
	}
}

// TestTailOfMuch reads a log that is longer than what is read at a time, through a new
// process at every place.
func TestTailOfMuch(t *testing.T) {
	r := newReader(t)
	var text strings.Builder
	for n := range 100_000 {
		fmt.Fprintf(&text, "line %d\n", n)
	}
	r.read()
	r.add("mail.log", text.String())
	for r.tail.step(r.now, r.pass) {
		place := r.tail.place
		r.start(&place)
	}
	if r.got.String() != text.String() {
		t.Errorf("%d octets of %d", r.got.Len(), text.Len())
	}
}

// A pipe in the place of a log, or of a rotated one, holds nothing up.
func TestPipes(t *testing.T) {
	r := newReader(t)
	for _, name := range []string{"mail.log", "mail.log.1"} {
		if err := syscall.Mkfifo(r.path(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.start(&Place{Device: 1, Inode: 2, Offset: 3})
	r.read()
	if r.tail.trouble != "is not a file" {
		t.Errorf("trouble: %q", r.tail.trouble)
	}
	os.Remove(r.path("mail.log"))
	r.add("mail.log", "a\n")
	r.read()
	if r.got.String() != "a\n" || r.tail.trouble != "" {
		t.Errorf("%q, trouble: %q", r.got.String(), r.tail.trouble)
	}
}

func TestState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if s, err := readState(path, "/var/log/mail.log"); s != nil || err != nil {
		t.Fatalf("no file: %v, %v", s, err)
	}
	was := &state{Source: "/var/log/mail.log", Place: &Place{1, 2, 4, "x", 3, 5},
		Counts: []count{{labels{"bounced", "mailbox-full", "soft", "google"}, 7}}}
	if err := was.write(path); err != nil {
		t.Fatal(err)
	}
	s, err := readState(path, "/var/log/mail.log")
	if err != nil || *s.Place != *was.Place || len(s.Counts) != 1 || s.Counts[0] != was.Counts[0] {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := readState(path, Journal); err != nil || s.Place != nil || len(s.Counts) != 1 {
		t.Errorf("of another log: %+v, %v", s, err)
	}
	for _, place := range []Place{{PrintSize: -1}, {PrintSize: 1 << 40, Offset: 1 << 40}, {Offset: -1}, {PrintSize: 3, Offset: 2}} {
		wrong := *was
		wrong.Place = &place
		wrong.write(path)
		if s, err := readState(path, was.Source); err != nil || s.Place != nil || len(s.Counts) != 1 {
			t.Errorf("%+v: %+v, %v", place, s, err)
		}
	}
	tests := []struct {
		name string
		do   func()
		want string
	}{
		{"others may write", func() { os.Chmod(path, 0o666) }, "others may write (mode 0666): take that from them (chmod 600)"},
		{"another version", func() { os.WriteFile(path, []byte("bounce-milter follow\n9 x\n{}"), 0o600) }, "is of version 9"},
		{"another program's", func() { os.WriteFile(path, []byte("root:x:0:0\n"), 0o600) }, "is no state file of this program, and is left alone"},
		{"cut", func() { os.Truncate(path, 90) }, "is cut off or damaged"},
		{"a folder", func() { os.Mkdir(path, 0o700) }, "is not a file"},
		{"a link", func() { os.Symlink("/dev/null", path) }, "is a symbolic link: name the file itself in follow.state_file"},
	}
	for _, tt := range tests {
		os.Remove(path)
		was.write(path)
		if tt.name == "a folder" || tt.name == "a link" {
			os.Remove(path)
		}
		tt.do()
		if s, err := readState(path, Journal); s != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v, want %q", tt.name, s, err, tt.want)
		}
	}
}
