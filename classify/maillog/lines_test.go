package maillog

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata")

// testParser is in a known zone, at a known time.
func testParser() *Parser {
	return &Parser{Location: time.FixedZone("", 3600), Latest: time.Date(2026, 11, 28, 1, 0, 0, 0, time.UTC)}
}

// TestLines reads each line of testdata/lines/*.log; what it says stands in *.want.
func TestLines(t *testing.T) {
	files, _ := filepath.Glob("testdata/lines/*.log")
	if len(files) < 4 {
		t.Fatalf("%d files", len(files))
	}
	for _, file := range files {
		log, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		p := testParser()
		n := 0
		for line := range bytes.Lines(log) {
			n++
			for _, e := range p.Append(nil, line) {
				fmt.Fprintf(&got, "%d %s\n", n, show(&e))
			}
		}
		wantFile := strings.TrimSuffix(file, ".log") + ".want"
		if *update {
			if err := os.WriteFile(wantFile, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(wantFile)
		if err != nil {
			t.Fatal(err)
		}
		wants, gots := strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")
		for i := range max(len(wants), len(gots)) {
			w, g := "", ""
			if i < len(wants) {
				w = wants[i]
			}
			if i < len(gots) {
				g = gots[i]
			}
			if w != g {
				t.Errorf("%s: got\n%s\nwant\n%s", file, g, w)
				break
			}
		}
	}
}

// show writes what is known about an entry on one line.
func show(e *Entry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Format, e.Result)
	add := func(name, v string) {
		if v != "" {
			fmt.Fprintf(&b, " %s=%s", name, v)
		}
	}
	if !e.Time.IsZero() {
		add("time", e.Time.UTC().Format("2006-01-02T15:04:05.999999Z"))
	}
	add("host", e.Host)
	add("program", e.Program)
	add("pid", e.PID)
	add("id", e.QueueID)
	add("to", e.Recipient)
	add("for", e.Original)
	add("relay", e.Relay)
	add("ip", e.RelayAddress)
	if e.Delay != 0 {
		add("delay", e.Delay.String())
	}
	add("status", e.Status.String())
	if e.Code != 0 {
		add("code", fmt.Sprint(e.Code))
	}
	if e.Reply != "" {
		fmt.Fprintf(&b, " reply=%q", e.Reply)
	}
	if e.Words != "" {
		fmt.Fprintf(&b, " words=%q", e.Words)
	}
	return b.String()
}
