package spool

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// record has the size of a typical record.
var record = bytes.Repeat([]byte("0123456789"), 70)

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b, b.TempDir(), Options{})
			batch := slices.Repeat([][]byte{record}, n)
			b.SetBytes(int64(n * len(record)))
			for b.Loop() {
				if err := s.Append(batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	a := readerOf(b, s, "a")
	const n = 100
	batch := slices.Repeat([][]byte{record}, n)
	b.SetBytes(int64(n * len(record)))
	for b.Loop() {
		if err := s.Append(batch); err != nil {
			b.Fatal(err)
		}
		if entries, err := a.Read(n, 1<<20); err != nil || len(entries) != n {
			b.Fatal(len(entries), err)
		}
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
}
