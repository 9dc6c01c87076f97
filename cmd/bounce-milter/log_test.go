package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/internal/fold"
)

// If the reader of the log stalls, nobody waits for it. When it reads again it is told how much
// it missed, in the format of the log.
func TestLogReaderStalls(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			r, w := io.Pipe()
			handler, lines := newDaemonLog(w)
			handler.set(config.Log{Format: format})
			log := slog.New(handler)
			const written = 20_000
			for i := range written {
				log.Info("line", "n", i, "filling", strings.Repeat("x", 200))
			}
			counted := 0
			lines.CountLost(func(n int) { counted += n })
			if counted == 0 || counted == written {
				t.Fatalf("%d lines lost of %d", counted, written)
			}
			// The writer may take lines up before the last one is there, and then lose more.
			number := regexp.MustCompile(`\blost"?[=:](\d+)\b`)
			read, said := 0, 0
			scan := bufio.NewScanner(r)
			for read+said < written && scan.Scan() {
				line := scan.Text()
				if strings.Contains(line, "filling") {
					read++
					continue
				}
				lost := number.FindStringSubmatch(line)
				if lost == nil || json.Valid([]byte(line)) != (format == "json") {
					t.Fatalf("said of lost lines: %s", line)
				}
				n, _ := strconv.Atoi(lost[1])
				said += n
			}
			if said != counted || read+said != written {
				t.Errorf("%d lines read and %d said to be lost of %d; %d are counted as lost", read, said, written, counted)
			}
			log.Info("back")
			go func() {
				lines.Close()
				w.Close()
			}()
			if rest, err := io.ReadAll(r); err != nil || bytes.Count(rest, []byte("\n")) != 1 || !bytes.Contains(rest, []byte("back")) {
				t.Errorf("then: %s, %v", rest, err)
			}
		})
	}
}

// fickle is a writer that works or fails, as the test says.
type fickle struct {
	mu     sync.Mutex
	fails  bool
	after  int // octets written before it fails
	out    bytes.Buffer
	called chan struct{}
}

func (f *fickle) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer func() { f.mu.Unlock(); f.called <- struct{}{} }()
	if !f.fails {
		return f.out.Write(p)
	}
	n := min(f.after, len(p))
	f.out.Write(p[:n])
	return n, errors.New("no space left on device")
}

// Lines that could not be written are counted, and the next line after half a line begins on a
// new line.
func TestLogCannotBeWritten(t *testing.T) {
	f := &fickle{fails: true, after: 3, called: make(chan struct{}, 10)}
	lines := newLogWriter(f, func(n int) []byte { return fmt.Appendf(nil, "lost %d\n", n) })
	counted := 0
	fmt.Fprintln(lines, "first")
	<-f.called
	f.mu.Lock()
	f.fails = false
	f.mu.Unlock()
	fmt.Fprintln(lines, "second")
	<-f.called
	<-f.called
	lines.CountLost(func(n int) { counted += n })
	if err := lines.Close(); err != nil {
		t.Error(err)
	}
	if got, want := f.out.String(), "fir\nsecond\nlost 1\n"; got != want || counted != 1 {
		t.Errorf("got %q, want %q; %d counted", got, want, counted)
	}
	fmt.Fprintln(lines, "after its end")
	if counted != 2 {
		t.Errorf("%d counted", counted)
	}
}

// Nothing that a stranger wrote can move the cursor, or hide a part of a log line.
func TestLogIsPlain(t *testing.T) {
	hostile := "\u3164\u2800\u034f a\x1b[31m\x07\x7f\u0085\u009b\u00ad\u061c\u180e\u200b\u200e\u202e\u2028\u2029\u2066\u2069\ufeff\ufff9\U000e0041\U000e0001\ue000b \"=é用😀\n"
	for _, format := range []string{"text", "json"} {
		var b bytes.Buffer
		handler, lines := newDaemonLog(&b)
		handler.set(config.Log{Format: format})
		slog.New(handler).Info("line", "from", hostile)
		if err := lines.Close(); err != nil {
			t.Fatal(err)
		}
		line := b.String()
		if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return fold.Invisible(r) }); i >= 0 {
			t.Errorf("%s: at octet %d: %q", format, i, line)
		}
		if !strings.Contains(line, "é用😀") {
			t.Errorf("%s: what can be seen is hidden: %s", format, line)
		}
		if format == "json" {
			var got struct{ From string }
			if err := json.Unmarshal(b.Bytes(), &got); err != nil || got.From != hostile {
				t.Errorf("got %q, %v", got.From, err)
			}
		}
	}
}

// A reload changes level and format of existing loggers, including those made with With.
func TestLogHandler(t *testing.T) {
	var w strings.Builder
	h := newLogHandler(&w)
	log := slog.New(h).With("session", 7).WithGroup("g")
	line := func() string {
		defer w.Reset()
		log.Info("hello", "x", 1)
		_, text, _ := strings.Cut(w.String(), "level")
		return strings.TrimSpace(text)
	}
	if got, want := line(), `=INFO msg=hello session=7 g.x=1`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	h.set(config.Log{Level: slog.LevelInfo, Format: "json"})
	if got, want := line(), `":"INFO","msg":"hello","session":7,"g":{"x":1}}`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	h.set(config.Log{Level: slog.LevelWarn, Format: "json"})
	if got := line(); got != "" {
		t.Errorf("below the level: %q", got)
	}
}
