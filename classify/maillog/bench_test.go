package maillog

import (
	"bytes"
	"testing"
)

// BenchmarkSource reads a log of which a share is about failures.
func BenchmarkSource(b *testing.B) {
	data := bigLog(2000)
	j := NewJudge(testEngine(b))
	s := &Source{Judge: j, Workers: 1}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		s.Stdin = bytes.NewReader(data)
		for range s.Batches(Stdin) {
		}
	}
}
