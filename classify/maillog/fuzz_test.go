package maillog

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzLine reads a line. Whatever it is, the entries are clean and bounded, a line that
// is skipped by its look has none, and the rest of a log is not disturbed.
func FuzzLine(f *testing.F) {
	files, _ := filepath.Glob("testdata/lines/*.log")
	for _, file := range files {
		log, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range bytes.Lines(log) {
			f.Add(line)
		}
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		p := testParser()
		for _, e := range p.Append(nil, line) {
			for _, s := range []string{e.Host, e.Program, e.PID, e.QueueID, e.Recipient, e.Original, e.Relay, e.RelayAddress} {
				if len(s) > maxValue+3 || !utf8.ValidString(s) || strings.ContainsFunc(s, isControl) {
					t.Errorf("a value is not clean: %q", s)
				}
			}
			if len(e.Words) > 3*maxWords || !utf8.ValidString(e.Words) || strings.ContainsFunc(e.Words, isControl) || strings.ContainsFunc(e.Reply, isControl) {
				t.Errorf("words are not clean: %q", e.Words)
			}
			if e.Result == "" || e.Format == "" || e.Delay < 0 {
				t.Errorf("%+v", e)
			}
			if !e.Time.IsZero() && (e.Time.Year() < 1970 || e.Time.Year() > 9999) && !strings.Contains(string(line), e.Time.Format("2006")) {
				t.Errorf("time %s", e.Time)
			}
		}
		after := p.Append(nil, []byte(postfixLine("10:00:00", "AAAA1", "u@x", "2.0.0", "sent (250 ok)")))
		if len(after) != 1 || after[0].Recipient != "u@x" || after[0].Time != time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC).In(p.Location) {
			t.Errorf("the next line is read as %+v", after)
		}
	})
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }
