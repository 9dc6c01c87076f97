package mailbox

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree writes files below a new folder and returns its path.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// collect reads everything below the paths into "name: text" lines, names
// without the folder they are in.
func collect(t *testing.T, s *Source, dir string, paths ...string) []string {
	t.Helper()
	var got []string
	var octets int64
	for m := range s.Messages(paths...) {
		name := strings.TrimPrefix(strings.TrimPrefix(m.Name, dir), "/")
		if m.Err != nil {
			got = append(got, fmt.Sprintf("%s: error: %v", name, m.Err))
			continue
		}
		octets += m.Octets
		got = append(got, fmt.Sprintf("%s: %q", name, m.Raw))
	}
	if s.Stdin == nil && octets != s.Size(paths...) {
		t.Errorf("messages took %d octets of %d", octets, s.Size(paths...))
	}
	return got
}

const eml = "Subject: one\n\ntext\n"

func TestMessages(t *testing.T) {
	mbox := "From a@example.com Mon Nov 23 10:00:00 2026\nSubject: 1\n\nfirst\n\n" +
		"From MAILER-DAEMON Mon Nov 23 10:00:01 2026\nSubject: 2\n\nsecond\n>From here\n"
	tests := []struct {
		name  string
		files map[string]string
		paths []string // relative to the folder; none: the folder
		want  []string
	}{
		{"one message", map[string]string{"a.eml": eml}, []string{"a.eml"},
			[]string{`a.eml: "Subject: one\n\ntext\n"`}},
		{"message without extension", map[string]string{"a": eml}, []string{"a"},
			[]string{`a: "Subject: one\n\ntext\n"`}},
		{"eml that begins with a From line is one message", map[string]string{"a.EML": mbox}, []string{"a.EML"},
			[]string{`a.EML: "Subject: 1\n\nfirst\n\nFrom MAILER-DAEMON Mon Nov 23 10:00:01 2026\nSubject: 2\n\nsecond\n>From here\n"`}},
		{"byte order mark and blank lines before the header", map[string]string{"a.eml": "\ufeff\r\n\n" + eml}, []string{"a.eml"},
			[]string{`a.eml: "Subject: one\n\ntext\n"`}},
		{"quoted From line before the header", map[string]string{"a": ">From a@example.com Mon Nov 23 10:00:00 2026\n" + eml}, []string{"a"},
			[]string{`a: "Subject: one\n\ntext\n"`}},
		{"mbox", map[string]string{"spool": mbox}, []string{"spool"},
			[]string{`spool#1: "Subject: 1\n\nfirst\n"`, `spool#2: "Subject: 2\n\nsecond\nFrom here\n"`}},
		{"mbox with CRLF", map[string]string{"x.mbox": strings.ReplaceAll(mbox, "\n", "\r\n")}, []string{"x.mbox"},
			[]string{`x.mbox#1: "Subject: 1\r\n\r\nfirst\r\n"`, `x.mbox#2: "Subject: 2\r\n\r\nsecond\r\nFrom here\r\n"`}},
		{"empty files", map[string]string{"a.eml": "", "spool": ""}, nil,
			[]string{`a.eml: error: the file is empty`}},
		{"missing file, then one that is there", map[string]string{"b.eml": eml}, []string{"a.eml", "b.eml"},
			[]string{`a.eml: error: no such file or directory`, `b.eml: "Subject: one\n\ntext\n"`}},
		{"folder in folder, hidden files left alone", map[string]string{"b/1": "B", "a": "A", "c.eml": "C", ".mh_sequences": "x", ".git/x": "x"}, nil,
			[]string{`a: "A"`, `b/1: "B"`, `c.eml: "C"`}},
		{"maildir", map[string]string{
			"new/1.host": "N", "cur/2.host:2,S": "From c\nSubject: x\n\nC\n", "tmp/3": "T", "dovecot.index": "x",
			".Sent/cur/4:2,S": "S", ".Sent/new/": "", ".Sent/tmp/": "", "cur/.hidden": "x", "new/5": ""}, nil,
			[]string{`new/1.host: "N"`, `new/5: error: the file is empty`, `cur/2.host:2,S: "Subject: x\n\nC\n"`, `.Sent/cur/4:2,S: "S"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := tree(t, tt.files)
			paths := []string{dir}
			if tt.paths != nil {
				paths = nil
				for _, p := range tt.paths {
					paths = append(paths, filepath.Join(dir, p))
				}
			}
			got := collect(t, new(Source), dir, paths...)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n %s\nwant\n %s", strings.Join(got, "\n "), strings.Join(tt.want, "\n "))
			}
		})
	}
}

func TestStandardInput(t *testing.T) {
	for in, want := range map[string]string{
		eml: `-: "Subject: one\n\ntext\n"`,
		"From a@example.com Mon Nov 23 10:00:00 2026\n" + eml: `-#1: "Subject: one\n\ntext\n"`,
		"": `-: error: nothing came on standard input`,
	} {
		got := collect(t, &Source{Stdin: strings.NewReader(in)}, "", Stdin)
		if len(got) != 1 || got[0] != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// A broken stream ends in an error, after the messages before it.
func TestReadError(t *testing.T) {
	mbox := "From a@example.com Mon Nov 23 10:00:00 2026\nSubject: 1\n\nx\n\nFrom b@example.com Mon Nov 23 10:00:00 2026\nSubject: 2\n\n"
	r := io.MultiReader(strings.NewReader(mbox), failing{})
	got := collect(t, &Source{Stdin: r}, "", Stdin)
	want := []string{`-#1: "Subject: 1\n\nx\n"`, `-#2: error: reading: the disk is on fire`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, fmt.Errorf("the disk is on fire") }

func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		// root reads everything; a folder that vanishes is the next best thing.
		dir := tree(t, map[string]string{"a": "A"})
		if err := os.Symlink("/nowhere/at/all", filepath.Join(dir, "b")); err != nil {
			t.Fatal(err)
		}
		got := collect(t, new(Source), dir, dir)
		want := []string{`a: "A"`, `b: error: no such file or directory`}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		return
	}
	dir := tree(t, map[string]string{"a": "A", "b": "B"})
	if err := os.Chmod(filepath.Join(dir, "a"), 0); err != nil {
		t.Fatal(err)
	}
	got := collect(t, new(Source), dir, dir)
	want := []string{`a: error: permission denied`, `b: "B"`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Only so much of a message is kept, and the next one is found all the same.
func TestBound(t *testing.T) {
	long := strings.Repeat("0123456789abcde\n", 20_000) // 320 kB
	mbox := "From a@example.com Mon Nov 23 10:00:00 2026\nSubject: 1\n\n" + long +
		"\nFrom b@example.com Mon Nov 23 10:00:00 2026\nSubject: 2\n\n" + strings.Repeat("y", 200_000) + "\n"
	dir := tree(t, map[string]string{"spool": mbox, "one.eml": eml + long})
	s := &Source{MaxOctets: 1000}
	var lens []int
	var octets int64
	for m := range s.Messages(dir) {
		if m.Err != nil {
			t.Fatal(m.Err)
		}
		lens = append(lens, len(m.Raw))
		octets += m.Octets
	}
	if !slices.Equal(lens, []int{1000, 1000, 1000}) || octets != s.Size(dir) {
		t.Errorf("lengths %v, %d octets of %d", lens, octets, s.Size(dir))
	}
}

// A consumer may stop at any message.
func TestBreak(t *testing.T) {
	dir := tree(t, map[string]string{"a": "A", "b": "B", "cur/x": "", "m/cur/1": "1", "m/new/2": "2"})
	for stop := 1; stop < 5; stop++ {
		n := 0
		for range new(Source).Messages(dir, dir) {
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("saw %d messages, want %d", n, stop)
		}
	}
}
