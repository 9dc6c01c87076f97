package maillog

import (
	"bytes"
	"strings"
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

// BenchmarkHostile reads lines whose reply is written to be expensive: all take about as
// long for each octet.
func BenchmarkHostile(b *testing.B) {
	const exim = "2026-11-27 10:00:00 1tG9oF-0000Yh-2X ** u@example.com R=d T=r H=mx.example.com [192.0.2.1]: "
	for name, unit := range map[string]string{"words": "no such user here ", "brackets": "<a>b", "open": "<", "quotation": `<"`, "colons": ": ", "times": " DT=1s QT=1s"} {
		b.Run(name, func(b *testing.B) {
			line := []byte(exim + strings.Repeat(unit, maxLine/len(unit))[:maxLine-len(exim)])
			p := testParser()
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				p.Append(nil, line)
			}
		})
	}
}
