package spool

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func FuzzRead(f *testing.F) {
	line := func(records ...string) []byte {
		var b []byte
		for _, r := range records {
			b, _ = appendLine(b, []byte(r))
		}
		return b
	}
	good := line(`{"v":1,"id":"01JDKQ"}`, "", `{"v":1}`)
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(good[5:])
	f.Add(bytes.ReplaceAll(good, []byte("1"), []byte("\n")))
	f.Add(append(bytes.Repeat([]byte{0}, 4096), good...))
	f.Add([]byte("00000000 0 \n00000000 0 \n\n\n 1 \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, segmentName(1)), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "a.cursor"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir, Options{Segment: 1000})
		defer s.Close()
		a := readerOf(t, s, "a")
		put(t, s, 0, 3)
		var got []byte
		n := 0
		for {
			entries, err := a.Read(2, 100)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) == 0 {
				break
			}
			for _, e := range entries {
				got, _ = appendLine(got, e.Data)
				n++
			}
			a.Commit(entries[len(entries)-1])
		}
		// The data contains each record that was read, as it would be written.
		tail := line("r0", "r1", "r2")
		if !bytes.HasSuffix(got, tail) {
			t.Fatalf("records that were appended after the data are not read: %q", got)
		}
		rest := data
		for l := range bytes.Lines(got[:len(got)-len(tail)]) {
			_, after, found := bytes.Cut(rest, l)
			if !found {
				t.Fatalf("%q is not in the data", l)
			}
			rest = after
		}
		if lines := bytes.Count(data, []byte("\n")); n-3+int(a.Lost().Damaged) < lines {
			t.Fatalf("%d lines, %d read", lines, n-3)
		}
		if a.Pending() != 0 {
			t.Fatalf("%d pending", a.Pending())
		}
	})
}
