package mailbox

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGzip(t *testing.T) {
	const box = "From a@example.com Mon Nov 23 10:00:00 2026\nSubject: one\n\nx\n\nFrom b@example.com Mon Nov 23 10:00:01 2026\nSubject: two\n\ny\n\n"
	pack := func(text string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write([]byte(text))
		w.Close()
		return b.Bytes()
	}
	whole := pack(box)
	tests := []struct {
		name string
		file string
		data []byte
		want string // names and errors
	}{
		{"an mbox", "box.gz", whole, "box.gz#1 box.gz#2"},
		{"two members", "box.gz", append(pack(box), pack(box)...), "box.gz#1 box.gz#2 box.gz#3 box.gz#4"},
		{"one message that begins as an mbox does", "m.eml.gz", whole, "m.eml.gz"},
		{"a message without a telling name", "m", pack("Subject: x\n\ny\n"), "m"},
		{"nothing", "m.eml.gz", pack(""), "m.eml.gz: the file is empty"},
		{"cut in its header", "box.gz", whole[:5], "box.gz: decompressing: unexpected EOF"},
		{"cut", "m.eml.gz", whole[:len(whole)-10], "m.eml.gz: reading: unexpected EOF"},
		{"a wrong sum", "m.eml.gz", append(bytes.Clone(whole[:len(whole)-8]), 1, 2, 3, 4, 5, 6, 7, 8), "m.eml.gz: reading: gzip: invalid checksum"},
		{"no gzip", "m.eml.gz", []byte("Subject: x\n\ny\n"), "m.eml.gz"},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		path := filepath.Join(dir, tt.file)
		if err := os.WriteFile(path, tt.data, 0o600); err != nil {
			t.Fatal(err)
		}
		src := &Source{}
		var got []string
		var octets int64
		for m := range src.Messages(path) {
			name := strings.TrimPrefix(m.Name, dir+"/")
			if m.Err != nil {
				name += ": " + m.Err.Error()
			}
			got = append(got, name)
			octets += m.Octets
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if size := src.Size(path); !strings.Contains(tt.want, ":") && octets != size {
			t.Errorf("%s: the messages take up %d octets of %d", tt.name, octets, size)
		}
	}
}

func TestCompressedStandardInput(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, "From a@b Fri Nov 27 10:00:00 2026\nSubject: one\n\nx\n\nFrom a@b Fri Nov 27 10:00:01 2026\nSubject: two\n\ny\n")
	w.Close()
	path := filepath.Join(t.TempDir(), "box.gz")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, in := range map[string]io.Reader{"a pipe": bytes.NewReader(b.Bytes()), "a file": file} {
		var got []string
		for m := range (&Source{Stdin: in}).Messages(Stdin) {
			if m.Err != nil {
				t.Errorf("%s: %v", name, m.Err)
			}
			got = append(got, m.Name)
		}
		if strings.Join(got, " ") != "-#1 -#2" {
			t.Errorf("%s: %q", name, got)
		}
	}
	for m := range (&Source{Stdin: bytes.NewReader(b.Bytes()[:5])}).Messages(Stdin) {
		if m.Err == nil || m.Err.Error() != "decompressing: unexpected EOF" {
			t.Errorf("cut: %v", m.Err)
		}
	}
}

func TestLooksLikeMessage(t *testing.T) {
	for text, want := range map[string]bool{
		"Subject: x\n":             true,
		"\r\n\nReceived: by x\r\n": true,
		"\ufeffFrom: x":            true,
		"From x@example.com\n":     true,
		">From x@example.com\n":    true,
		"Subject : x":              true,
		"":                         false,
		"hello\n":                  false,
		"# what: this is\n":        false,
		": x":                      false,
		"\x89PNG\r\n\x1a\n":        false,
		"na\x00me: x":              false,
		"gr\xc3\xbc\xc3\x9fe: x":   false,
	} {
		if got := LooksLikeMessage([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
