package milter

import (
	"bufio"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/action"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata/transcript")

// transcriptWords are what a transcript's "with" line may ask for.
var transcriptWords = map[string]func(*Config){
	"tcp":      func(c *Config) { c.Listen = []Socket{{"tcp", "127.0.0.1:0"}} },
	"keep":     func(c *Config) { c.ForgedHeaders = ForgedKeep },
	"envelope": func(c *Config) { c.LookAt = LookAtEnvelope },
	"observe":  func(c *Config) { c.Mode = ModeObserve },
	"small":    func(c *Config) { c.Limits.Report.Octets = 64 << 10 },
	"trusted":  trustClient,
	"redirect": onHard(action.Options{Redirect: []string{"dead@example.org", "ann@lists.example.org"}}),
	"reject":   onHard(action.Options{Reject: "5.7.1 Not here"}),
	"header":   onHard(action.Options{Header: []action.Field{{Name: "X-Folder", Value: "dead"}, {Name: "X-Note", Value: "b"}}}),
	"tickets":  withTickets,
	"verp":     func(c *Config) { c.VERP = []string{"bounces+{local}={domain}@lists.example.org"} },
}

// TestTranscripts holds every octet that we answer. Each file of
// testdata/transcript is one session: what an MTA sends, behind ">", and then
// what it gets, behind "<". A frame is its command and its data as a Go string;
// "10x" before it says that there are ten of them. However the MTA's octets are
// cut into pieces, the answers are the same.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcript/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			s := readTranscript(t, file)
			all := concat(s.frames)
			if *update {
				s.want = s.play(t, [][]byte{all})
				if err := os.WriteFile(file, []byte(s.sent+s.want), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, size := range []int{1, 7, len(all)} {
				if len(all)/size > 10_000 {
					continue
				}
				if got := s.play(t, slices.Collect(slices.Chunk(all, size))); got != s.want {
					t.Errorf("sent in pieces of %d octets, answered\n%swant\n%s", size, got, s.want)
				}
			}
		})
	}
}

// someTicket is a ticket that was put on a message: another one each time.
var someTicket = regexp.MustCompile(`X-Bounce-Ticket\x00v=1; k=new; t=[0-9]+; [^\x00]+\x00`)

type transcript struct {
	change []func(*Config)
	frames [][]byte
	sent   string // the lines of the file up to the first answer
	want   string // those behind it
}

var transcriptFrame = regexp.MustCompile(`^> (?:([0-9]+)x )?(.) (".*")$`)

func readTranscript(t *testing.T, file string) *transcript {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &transcript{}
	for line := range strings.Lines(string(b)) {
		text := strings.TrimSuffix(line, "\n")
		if words, ok := strings.CutPrefix(text, "with "); ok {
			for w := range strings.FieldsSeq(words) {
				if transcriptWords[w] == nil {
					t.Fatalf("%s: with %q", file, w)
				}
				s.change = append(s.change, transcriptWords[w])
			}
		}
		if strings.HasPrefix(text, "< ") {
			s.want += line
			continue
		}
		s.sent += line
		if m := transcriptFrame.FindStringSubmatch(text); m != nil {
			data, err := strconv.Unquote(m[3])
			if err != nil {
				t.Fatalf("%s: %s: %v", file, text, err)
			}
			n, _ := strconv.Atoi(m[1])
			for range max(n, 1) {
				s.frames = append(s.frames, frame(m[2][0], data))
			}
		} else if strings.HasPrefix(text, ">") {
			t.Fatalf("%s: not a frame: %s", file, text)
		}
	}
	return s
}

// play sends the pieces and returns the answers, as they stand in a file.
func (s *transcript) play(t *testing.T, pieces [][]byte) string {
	t.Helper()
	ts := start(t, func(c *Config) {
		for _, change := range s.change {
			change(c)
		}
	})
	c := ts.dial(t)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	go func() {
		for _, p := range pieces {
			if _, err := c.Write(p); err != nil {
				return
			}
		}
	}()
	return readAnswers(t, c)
}

// readAnswers reads frames until the server hangs up.
func readAnswers(t *testing.T, c net.Conn) string {
	t.Helper()
	var out strings.Builder
	last, n := "", 0
	put := func(next string) {
		if next == last {
			n++
			return
		}
		switch {
		case n > 1:
			fmt.Fprintf(&out, "< %dx %s\n", n, last)
		case n == 1:
			fmt.Fprintf(&out, "< %s\n", last)
		}
		last, n = next, 1
	}
	r := bufio.NewReader(c)
	for {
		var head [5]byte
		_, err := io.ReadFull(r, head[:])
		if err == io.EOF {
			put("")
			return out.String()
		}
		if err != nil {
			t.Fatalf("reading an answer: %v", err)
		}
		data := make([]byte, binary.BigEndian.Uint32(head[:])-1)
		if _, err := io.ReadFull(r, data); err != nil {
			t.Fatalf("reading an answer: %v", err)
		}
		put(fmt.Sprintf("%c %q", head[4], someTicket.ReplaceAll(data, []byte("X-Bounce-Ticket\x00v=1; …\x00"))))
	}
}
