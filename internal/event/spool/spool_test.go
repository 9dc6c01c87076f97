package spool

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/lab/smalldisk"
)

func open(t testing.TB, dir string, o Options) *Spool {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func readerOf(t testing.TB, j Journal, name string) Reader {
	t.Helper()
	r, err := j.Reader(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// put appends the records r<from> to r<to-1>, one at a time.
func put(t testing.TB, j Journal, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := j.Append([][]byte{fmt.Appendf(nil, "r%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// get reads and commits all records, n at a time.
func get(t testing.TB, r Reader, n int) string {
	t.Helper()
	var all []string
	for {
		entries, err := r.Read(n, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return strings.Join(all, " ")
		}
		for _, e := range entries {
			all = append(all, string(e.Data))
		}
		r.Commit(entries[len(entries)-1])
	}
}

// names returns r<from> to r<to-1>.
func names(from, to int) string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("r%d", i))
	}
	return strings.Join(all, " ")
}

func is[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// Both kinds of journal behave the same.
func TestJournal(t *testing.T) {
	for name, j := range map[string]Journal{
		"disk":   open(t, t.TempDir(), Options{Segment: 100}),
		"memory": NewMemory(1 << 20),
	} {
		t.Run(name, func(t *testing.T) {
			put(t, j, 0, 5) // before there is a reader
			a := readerOf(t, j, "a")
			if _, err := j.Reader("a"); err == nil {
				t.Error("two readers of one name")
			}
			is(t, "at the begin", get(t, a, 3), "")
			put(t, j, 5, 25)
			is(t, "pending", a.Pending(), 20)
			b := readerOf(t, j, "b")
			put(t, j, 25, 30)
			is(t, "a", get(t, a, 7), names(5, 30))
			is(t, "pending", a.Pending(), 0)
			is(t, "b", get(t, b, 1), names(25, 30))

			put(t, j, 30, 40)
			first, err := a.Read(2, 1<<20)
			if err != nil || len(first) != 2 {
				t.Fatalf("read %d, %v", len(first), err)
			}
			a.Commit(first[0])
			if err := a.Save(); err != nil {
				t.Fatal(err)
			}
			a.Close()
			a = readerOf(t, j, "a")
			is(t, "from the last commit", get(t, a, 100), names(31, 40))
			is(t, "lost", a.Lost(), Lost{})

			put(t, j, 40, 45)
			a.Close()
			if err := j.Keep([]string{"b"}); err != nil {
				t.Fatal(err)
			}
			is(t, "forgotten", get(t, readerOf(t, j, "a"), 1), "")
			is(t, "kept", get(t, b, 1), names(30, 45))

			if entries, err := b.Read(10, 1); err != nil || len(entries) > 0 {
				t.Errorf("read %d, %v", len(entries), err)
			}
			put(t, j, 45, 50)
			if entries, err := b.Read(10, 1); err != nil || len(entries) != 1 {
				t.Errorf("one at least: read %d, %v", len(entries), err)
			}
		})
	}
}

// The next process finds what was appended, even if this one was killed.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Segment: 100})
	a := readerOf(t, s, "a")
	put(t, s, 0, 10)
	get(t, a, 4)
	if err := a.Save(); err != nil {
		t.Fatal(err)
	}
	put(t, s, 10, 12)
	// Neither saved nor closed: as if killed here.
	s = open(t, copyOf(t, dir), Options{Segment: 100})
	a = readerOf(t, s, "a")
	is(t, "pending", a.Pending(), 2)
	put(t, s, 12, 15)
	is(t, "after a kill", get(t, a, 4), names(10, 15))
	is(t, "lost", a.Lost(), Lost{})
	is(t, "a new one", get(t, readerOf(t, s, "new"), 4), "")
}

// copyOf copies the files of a spool, whose folder is in use.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Segments that all readers have read are removed, except the last.
func TestRemoval(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Segment: 100})
	a, b := readerOf(t, s, "a"), readerOf(t, s, "b")
	put(t, s, 0, 100)
	many := len(segments(t, dir))
	if many < 10 {
		t.Fatalf("%d segments", many)
	}
	get(t, a, 10)
	if err := a.Save(); err != nil {
		t.Fatal(err)
	}
	is(t, "segments that b needs", len(segments(t, dir)), many)
	get(t, b, 10)
	is(t, "before it is kept", len(segments(t, dir)), many)
	if err := b.Save(); err != nil {
		t.Fatal(err)
	}
	is(t, "segments that nobody needs", len(segments(t, dir)), 1)

	put(t, s, 100, 200)
	b.Close()
	if err := s.Keep([]string{"a"}); err != nil {
		t.Fatal(err)
	}
	is(t, "a", get(t, a, 10), names(100, 200))
	if err := a.Save(); err != nil {
		t.Fatal(err)
	}
	is(t, "without b", len(segments(t, dir)), 1)
	for _, f := range append(segments(t, dir), filepath.Join(dir, "a.cursor")) {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		is(t, f, info.Mode().Perm(), 0o600)
	}
}

// Above the bound the oldest records are removed, and readers that had not read them learn
// how many were lost.
func TestOverflow(t *testing.T) {
	for name, j := range map[string]Journal{
		"disk":   open(t, t.TempDir(), Options{Max: 1000, Segment: 100, Lazy: true}),
		"memory": NewMemory(5000),
	} {
		t.Run(name, func(t *testing.T) {
			slow, fast := readerOf(t, j, "slow"), readerOf(t, j, "fast")
			put(t, j, 0, 10)
			if first, err := slow.Read(1, 1); err != nil || len(first) != 1 {
				t.Fatal(err)
			}
			for i := 10; i < 1000; i += 10 {
				put(t, j, i, i+10)
				if i == 500 && name == "disk" {
					j.SetMax(500)
				}
				get(t, fast, 100)
				if err := fast.Save(); err != nil {
					t.Fatal(err)
				}
			}
			got := strings.Fields(get(t, slow, 10))
			is(t, "last", got[len(got)-1], "r999")
			is(t, "lost", slow.Lost(), Lost{Overflow: int64(1000 - 1 - len(got))})
			is(t, "lost once", slow.Lost(), Lost{})
			is(t, "fast lost", fast.Lost(), Lost{})
			if len(got) < 5 || len(got) > 200 {
				t.Errorf("kept %d", len(got))
			}
		})
	}
}

// A segment of ten records is damaged in every way at every octet. All records that are not
// damaged are read, and nothing is read that was not written.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	readerOf(t, s, "a")
	put(t, s, 0, 10)
	file := filepath.Base(segments(t, dir)[0])
	whole, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	written := strings.Fields(names(0, 10))
	for at := range whole {
		for what, damaged := range map[string][]byte{
			"torn":    whole[:at],
			"changed": slices.Concat(whole[:at], []byte{whole[at] ^ 1}, whole[at+1:]),
			"newline": slices.Concat(whole[:at], []byte{'\n'}, whole[at+1:]),
			"removed": slices.Concat(whole[:at], whole[at+1:]),
			"zeroes":  slices.Concat(whole[:at], make([]byte, len(whole)-at)),
			"holes":   slices.Concat(whole[:at], make([]byte, 3*maxLine), []byte("\n"), whole[at:]),
		} {
			if what == "holes" && at%23 != 0 {
				continue // each run takes some time
			}
			dir := copyOf(t, dir)
			if err := os.WriteFile(filepath.Join(dir, file), damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir, Options{Lazy: true})
			a := readerOf(t, s, "a")
			put(t, s, 10, 12)
			got := strings.Fields(get(t, a, 3))
			lost := a.Lost()
			s.Close()
			least := 8 // a damaged newline costs two records
			if what == "torn" || what == "zeroes" {
				least = bytes.Count(whole[:at], []byte("\n"))
			}
			n := 0
			for _, r := range got {
				if !slices.Contains(written, r) && r != "r10" && r != "r11" {
					t.Fatalf("%s at %d: read %q", what, at, r)
				}
				n++
			}
			if n < least+2 || !slices.IsSorted(got[:n-2]) || got[n-1] != "r11" {
				t.Fatalf("%s at %d: read %q", what, at, got)
			}
			if what == "changed" && whole[at] != '\n' && n-2+int(lost.Damaged) < 10 {
				t.Fatalf("%s at %d: read %d and lost %+v", what, at, n, lost)
			}
			if lost.Overflow != 0 {
				t.Fatalf("%s at %d: lost %+v", what, at, lost)
			}
		}
	}
}

// If a place cannot be read, reading begins with the oldest record: better twice than never.
func TestDamagedPlace(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Segment: 100})
	a := readerOf(t, s, "a")
	put(t, s, 0, 3)
	get(t, a, 10)
	if err := a.Save(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, "a.cursor"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		string(good):                           "",
		"":                                     names(0, 3),
		"\x00\x00":                             names(0, 3),
		`{"segment":1,"offset":-5,"record":1}`: names(0, 3),
		`{"segment":1,"offset":0,"record":1}`:  names(0, 3),
		`{"segment":1,"offset":9999999,"record":9}`:                     "", // the disk has lost what was read before
		`{"segment":77,"offset":0,"record":77}`:                         "",
		`{"segment":18446744073709551615,"offset":0,"record":1}`:        names(0, 3),
		`{"segment":1,"offset":0,"record":18446744073709551615}`:        names(0, 3),
		`{"segment":1,"offset":9223372036854775807,"record":2}`:         names(0, 3),
		`{"segment":1,"offset":12,"record":9223372036854775808,"a":{}}`: names(0, 3),
		`{"segment":1,"offset":0,"record":4611686018427387903}`:         names(0, 3), // no segment behind it has a name
	} {
		dir := copyOf(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "a.cursor"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir, Options{})
		a := readerOf(t, s, "a")
		is(t, text, get(t, a, 10), want)
		put(t, s, 5, 7)
		is(t, text+", then", get(t, a, 10), names(5, 7))
		is(t, text+", pending", a.Pending(), 0)
		s.Close()
	}
}

// Links that somebody has put into the folder lead nowhere, and a pipe is not waited for.
func TestLinks(t *testing.T) {
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{segmentName(1), "a" + cursorSuffix + newSuffix} {
		if err := os.Symlink(victim, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "b"+cursorSuffix), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{})
	if _, err := s.Reader("a"); err == nil {
		t.Error("a place was kept through a link")
	}
	a := readerOf(t, s, "a") // for the link was removed
	if err := s.Append([][]byte{[]byte("x")}); err == nil {
		t.Error("a record was written through a link")
	}
	if err := os.Remove(filepath.Join(dir, segmentName(1))); err != nil {
		t.Fatal(err)
	}
	put(t, s, 0, 2)
	is(t, "records", get(t, a, 10), names(0, 2))
	if data, err := os.ReadFile(victim); string(data) != "mine" {
		t.Errorf("the file that a link leads to: %q, %v", data, err)
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	inUse := filepath.Join(dir, "inuse")
	file := filepath.Join(dir, "file")
	others := filepath.Join(dir, "others")
	closed := filepath.Join(dir, "closed")
	for _, d := range []string{inUse, others, closed} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	open(t, inUse, Options{})
	type test struct{ dir, want string }
	tests := []test{
		{filepath.Join(dir, "missing"), "does not exist: create it with install -d -m 0700 -o "},
		{file, "is not a folder: name a folder"},
		{filepath.Join(file, "x"), "cannot be reached: not a directory"},
		{inUse, "is in use by another daemon: give each its own"},
		{closed, "cannot be written: chmod u+rwx"},
	}
	if os.Chown(others, 54321, -1) == nil {
		tests = append(tests, test{others, "belongs to user 54321 and the daemon runs as "})
	}
	for _, tt := range tests {
		if _, err := Open(tt.dir, Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.dir, err, tt.want)
		}
	}
}

// Appending fails while the disk is full, and works again afterwards.
func TestFull(t *testing.T) {
	smalldisk.Run(t, "128k", func(t *testing.T, dir string) {
		s := open(t, dir, Options{Segment: 100})
		a := readerOf(t, s, "a")
		put(t, s, 0, 3)
		ballast := filepath.Join(dir, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err == nil {
			t.Fatal("the disk is not full")
		}
		big := bytes.Repeat([]byte("x"), 10_000)
		for range 3 {
			if err := s.Append([][]byte{[]byte("lost"), big}); err == nil || !strings.Contains(err.Error(), "no space left") {
				t.Fatalf("full: %v", err)
			}
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		put(t, s, 3, 20)
		is(t, "around", get(t, a, 5), names(0, 20))
		is(t, "lost", a.Lost(), Lost{})
		is(t, "sync", s.Sync(), nil)
	})
}

// If the folder is removed it is created again, if that is allowed, and what is written
// afterwards is read.
func TestGone(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "spool")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{})
	s.trust = 0
	a := readerOf(t, s, "a")
	put(t, s, 0, 3)
	is(t, "before", get(t, a, 5), names(0, 3))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Append([][]byte{[]byte("lost")}); err == nil {
		t.Error("appended to nowhere")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	put(t, s, 3, 6)
	is(t, "after", get(t, a, 5), names(3, 6))
	if err := a.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil {
		t.Error("the new folder is not locked")
	}
}

// If one record cannot be a line, none of the records is appended.
func TestAppendRefuses(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	a := readerOf(t, s, "a")
	for _, bad := range [][]byte{[]byte("a\nb"), make([]byte, MaxRecord+1)} {
		if err := s.Append([][]byte{[]byte("good"), bad}); err == nil {
			t.Error("taken")
		}
	}
	longest := bytes.Repeat([]byte("x"), MaxRecord)
	if err := s.Append([][]byte{longest, nil}); err != nil {
		t.Fatal(err)
	}
	is(t, "read", get(t, a, 5), string(longest)+" ")
	is(t, "lost", a.Lost(), Lost{})
}

// Sync forces what is in all segments to the disk.
func TestSync(t *testing.T) {
	for _, o := range []Options{{Segment: 50}, {Segment: 50, Sync: true}, {Segment: 50, Lazy: true}} {
		s := open(t, t.TempDir(), o)
		for i := range 5 {
			put(t, s, 10*i, 10*i+10)
			is(t, "sync", s.Sync(), nil)
		}
		s.SetSync(!o.Sync, o.Lazy)
		put(t, s, 50, 60)
		is(t, "close", s.Close(), nil)
	}
}
