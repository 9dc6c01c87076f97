package dsn

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
)

// benchMessages are all messages of testdata, with the words-only ones.
func benchMessages(b testing.TB) [][]byte {
	b.Helper()
	var msgs [][]byte
	for _, m := range fixtures(b) {
		msgs = append(msgs, m)
	}
	paths, err := filepath.Glob("testdata/notice*/*.eml")
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range paths {
		m, err := os.ReadFile(p)
		if err != nil {
			b.Fatal(err)
		}
		msgs = append(msgs, m)
	}
	return msgs
}

// TestMemoryOfReading bounds what reading a message allocates, on average over
// all fixtures: 60 KB. What it costs in time, BenchmarkRead shows beside
// BenchmarkWalk.
func TestMemoryOfReading(t *testing.T) {
	msgs := benchMessages(t)
	n := allocated(func() {
		for _, m := range msgs {
			Read(context.Background(), m, Limits{})
		}
	}) / uint64(len(msgs))
	if n > 60<<10 {
		t.Errorf("%d octets allocated a message", n)
	}
}

// BenchmarkRead reads one fixture after the other.
func BenchmarkRead(b *testing.B) {
	msgs := benchMessages(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		Read(context.Background(), msgs[i%len(msgs)], Limits{})
	}
}

// BenchmarkWalk is the yardstick: go-message walks the same messages, decodes
// every part and throws it away.
func BenchmarkWalk(b *testing.B) {
	msgs := benchMessages(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		walkMessage(bytes.NewReader(msgs[i%len(msgs)]))
	}
}

func walkMessage(r io.Reader) {
	e, err := message.Read(r)
	if e == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return
	}
	e.Walk(func(path []int, e *message.Entity, err error) error {
		if err == nil && e.MultipartReader() == nil {
			io.Copy(io.Discard, e.Body)
		}
		return nil
	})
}
