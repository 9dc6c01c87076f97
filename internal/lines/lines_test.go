package lines

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	br := bufio.NewReaderSize(strings.NewReader("a\n\n"+strings.Repeat("x", 100)+"\nlast"), 16)
	for _, want := range []string{"a\n", "\n", strings.Repeat("x", 40), "last"} {
		got, err := Read(br, 40)
		if string(got) != want || (err == io.EOF) != (want == "last") {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if got, err := Read(br, 40); len(got) > 0 || err != io.EOF {
		t.Errorf("at the end: %q, %v", got, err)
	}
}

func TestFirst(t *testing.T) {
	for text, want := range map[string]string{"": "", "a": "a", "a\nb\nc": "a", "\na": ""} {
		if got := First(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
