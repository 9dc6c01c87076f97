package maillog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// bigLog is a log of several chunks, with n attempts, some in pieces.
func bigLog(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		for range 5 {
			fmt.Fprintf(&b, "Nov 27 10:%02d:%02d mx1 postfix/qmgr[9]: AAAA%d: from=<news@example.org>, size=1234, nrcpt=1 (queue active)\n", i/60%60, i%60, i)
		}
		switch {
		case i%100 == 7:
			line := fmt.Sprintf("2026-11-27 10:%02d:%02d 1tG9oG-%011d-0aBc ** u@example.net R=d T=t H=mx.example.net [192.0.2.1]: SMTP error from remote mail server after RCPT TO:<u@example.net>: 550 5.1.1 no such user", i/60%60, i%60, i)
			fmt.Fprintf(&b, "Nov 27 10:00:00 mx2 exim[7]: [1/2] %s\n", line[:100])
			fmt.Fprintf(&b, "Nov 27 10:00:00 mx2 exim[7]: [2/2] %s\n", line[100:])
		default:
			fmt.Fprintf(&b, "%s\n", postfixLine(fmt.Sprintf("10:%02d:%02d", i/60%60, i%60), fmt.Sprintf("AAAA%d", i), "u@example.net", "5.1.1", unknown))
		}
	}
	return b.Bytes()
}

// readAll reads logs, and returns what they say, line by line.
func readAll(t *testing.T, s *Source, paths ...string) (attempts []string, lines int, octets int64, errs []string) {
	t.Helper()
	for b := range s.Batches(paths...) {
		for i := range b.Attempts {
			attempts = append(attempts, show(&b.Attempts[i].Entry)+" "+b.Attempts[i].Verdict.Reason)
		}
		lines += b.Lines
		octets += b.Octets
		if b.Err != nil {
			errs = append(errs, filepath.Base(b.File)+": "+b.Err.Error())
		}
		if b.LongLine {
			errs = append(errs, filepath.Base(b.File)+": a long line")
		}
	}
	return attempts, lines, octets, errs
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func compressed(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	all := map[string][]byte{"log": data}
	var gz, x, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.ModTime = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	g.Write(data)
	g.Close()
	all["log.gz"] = gz.Bytes()
	xw, err := xz.NewWriter(&x)
	if err != nil {
		t.Fatal(err)
	}
	xw.Write(data)
	xw.Close()
	all["log.xz"] = x.Bytes()
	zw, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	zw.Write(data)
	zw.Close()
	all["log.zst"] = zs.Bytes()
	return all
}

// TestSource reads one log in every form and with several workers; the order is that of
// its lines.
func TestSource(t *testing.T) {
	const n = 6000
	data := bigLog(n)
	want, p := []string(nil), testParser()
	p.Location = time.UTC
	j := NewJudge(testEngine(t))
	for line := range bytes.Lines(data) {
		for _, e := range p.Append(nil, line) {
			want = append(want, show(&e)+" "+j.Recipient(&e).Reason)
		}
	}
	if len(want) != n {
		t.Fatalf("%d attempts", len(want))
	}
	for name, text := range compressed(t, data) {
		path := write(t, name, text)
		os.Chtimes(path, time.Time{}, time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC))
		for _, workers := range []int{1, 4} {
			got, lines, octets, errs := readAll(t, &Source{Judge: j, Location: time.UTC, Workers: workers}, path)
			if !slices.Equal(got, want) || len(errs) > 0 {
				t.Errorf("%s, %d workers: %d attempts, want %d; %s", name, workers, len(got), n, errs)
			}
			if lines != bytes.Count(data, []byte("\n")) || octets != int64(len(text)) {
				t.Errorf("%s: %d lines, %d octets", name, lines, octets)
			}
		}
	}
}

// TestBadFiles reads what is no log, beside one that is.
func TestBadFiles(t *testing.T) {
	data := bigLog(5000)
	gz := compressed(t, data)["log.gz"]
	short := write(t, "short.gz", gz[:len(gz)/2])
	binary := write(t, "binary", []byte("\x00\x01\x02"))
	folder := t.TempDir()
	long := write(t, "long", slices.Concat([]byte("Nov 27 10:00:00 mx1 x[1]: "), bytes.Repeat([]byte("a"), 1<<20), []byte("\n"), data[:len(data)/100]))
	good := write(t, "good", data)
	noEnd := write(t, "noend", bytes.TrimSuffix(data, []byte("\n")))
	journal := write(t, "system.journal", []byte("LPKSHHRH\x08\x00\x00\x00"))
	if is, err := Look(journal); !is || err != nil {
		t.Errorf("a file of the journal is no log: %v", err)
	}
	got, _, _, errs := readAll(t, &Source{}, short, binary, journal, folder, filepath.Join(folder, "none"), long, good, noEnd)
	want := []string{"short.gz: decompressing (gzip): the file is cut short", "binary: a binary file, no log",
		"system.journal: a file of systemd's journal: have journalctl read it, and hand on what it prints: journalctl --all -o json --file FILE | bounce-milter classify",
		filepath.Base(folder) + ": is a folder", "none: no such file or directory", "long: a long line"}
	if !slices.Equal(errs, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(errs, "\n"), strings.Join(want, "\n"))
	}
	if len(got) < 10000+50 {
		t.Errorf("%d attempts", len(got))
	}
}

// TestSourceEndsEarly stops in the middle; nothing keeps running.
func TestSourceEndsEarly(t *testing.T) {
	path := write(t, "log", bigLog(8000))
	before := runtime.NumGoroutine()
	for range (&Source{Workers: 3}).Batches(path, path) {
		break
	}
	// One that has said that it is done may take a moment to end.
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
		}
	}
}

func TestIsLog(t *testing.T) {
	for text, want := range map[string]bool{
		string(bigLog(3)):      true,
		"From: a@b\nTo: c@d\n": false,
		"From a@b Sat Nov 28 00:00:00 2026\nReceived: x\n\nNov 27 10:00:00 mx1 x[1]: a\nNov 27 10:00:00 mx1 x[1]: a\nNov 27 10:00:00 mx1 x[1]: a\n": false,
		"Return-Path: <>\nReceived: from x\n\tby y; Nov 27\nSubject: x\n\nNov 27 10:00:00 mx1 postfix/smtp[1]: a\n":                                 false,
		"2026-11-27 10:00:00 1tG9oG-00000000Yi2-0aBc Completed\n2026-11-27 10:00:00 Start queue run: pid=1\n":                                       true,
		"{\"__CURSOR\":\"x\",\"__REALTIME_TIMESTAMP\":\"1\",\"MESSAGE\":\"x\"}\n":                                                                   true,
		"{\"reply\":\"550 no\"}\n":                                 false,
		"postfix/smtp[1]: AAAA1: to=<u@x>, status=sent (ok)\n":     true,
		"AAAA1: to=<u@x>, relay=none, delay=1, status=sent (ok)\n": true,
		"": false, "550 5.1.1 no\n": false, "hello world\n": false,
	} {
		if got := IsLog([]byte(text)); got != want {
			t.Errorf("%v: %q", got, text)
		}
	}
}

// TestLookAt looks at logs and texts whose first line is longer than what is looked at otherwise.
func TestLookAt(t *testing.T) {
	log, long := bigLog(9), strings.Repeat("x", 100<<10)
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"a line of another program": {"Nov 27 10:00:00 mx1 x[1]: " + long + "\n" + string(log), true},
		"a line that is none":       {long + "\n" + string(log), true},
		"one line":                  {"Nov 27 10:00:00 mx1 x[1]: " + long, true},
		"an entry of the journal":   {`{"_CMDLINE":"` + long + `","__REALTIME_TIMESTAMP":"1","MESSAGE":"x"}` + "\n", true},
		"other JSON":                {`{"a":"` + long + `"}` + "\n", false},
		"a text":                    {long + "\nhello\n", false},
		"more than is looked at":    {strings.Repeat("x", 2<<20) + "\n" + string(log), false},
	} {
		for form, data := range compressed(t, []byte(tt.text)) {
			if got, err := LookAt(bytes.NewReader(data)); got != tt.want || err != nil {
				t.Errorf("%s, %s: %v, %v", name, form, got, err)
			}
		}
	}
}

func TestOrder(t *testing.T) {
	for in, want := range map[string]string{
		"mail.log mail.log.1 mail.log.2.gz mail.log.10.gz": "mail.log.10.gz mail.log.2.gz mail.log.1 mail.log",
		"maillog maillog-20261122 maillog-20261115.xz":     "maillog-20261115.xz maillog-20261122 maillog",
		"b/mail.log a/mail.log.1 b/mail.log.1 a/mail.log":  "b/mail.log.1 b/mail.log a/mail.log.1 a/mail.log",
		"mainlog mainlog.1 mainlog.2026-11-22 -":           "mainlog.2026-11-22 mainlog.1 mainlog -",
		"x.log y.log":                                      "x.log y.log",
	} {
		if got := strings.Join(Order(strings.Fields(in)), " "); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
