package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/maillog"
	"github.com/rivo/uniseg"
)

// TestLogSummaryFitsWindow prints the sums of a log into windows of many widths. Words may
// move, but are all there.
func TestLogSummaryFitsWindow(t *testing.T) {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for i := range 30 {
		for _, reply := range []string{"550 5.1.1 User unknown", "552 5.2.2 Mailbox full", "554 5.7.1 Blocked, see https://bl.example/"} {
			fmt.Fprintf(&log, "2026-11-%02dT10:00:00Z mx1 postfix/smtp[1]: 4cHk%d: to=<u@example.com>, relay=a-long-name.mail.example.com[192.0.2.1]:25, delay=1, dsn=5.0.0, "+
				"status=bounced (host a-long-name.mail.example.com[192.0.2.1] said: %s (in reply to RCPT TO command))\n", 1+i%14, i, reply)
		}
		fmt.Fprintf(&log, "2026-11-01T10:00:00Z mx1 postfix/smtpd[1]: NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 no; from=<a@b> to=<c@d>\n")
	}
	printed := func(columns int) string {
		var b bytes.Buffer
		a := &app{out: bufio.NewWriter(&b), stdout: os.Stdout}
		a.options.sum = true
		s := newLogSummary(a, engine)
		s.columns, s.style = columns, style{}
		r := &logReader{a: a, engine: engine, summary: s, show: func(string, *maillog.Story) error { return nil }}
		judge := maillog.NewJudge(engine)
		stories := maillog.NewStories(judge, r.story)
		var p maillog.Parser
		for line := range strings.Lines(log.String()) {
			for _, e := range p.Append(nil, []byte(line)) {
				at := maillog.Attempt{Entry: e}
				if e.Action() != "" {
					at.Verdict = judge.Recipient(&e)
				}
				r.attempt(&at, stories)
			}
		}
		stories.Close()
		s.print()
		a.out.Flush()
		return b.String()
	}
	// The words of advice follow the width of the terminal that the test may have.
	part := func(text string) string {
		before, after, _ := strings.Cut(text, "\nWhat to do")
		_, after, found := strings.Cut(after, "\nRemote servers")
		if !found {
			t.Fatalf("no servers in\n%s", text)
		}
		return before + after
	}
	words := func(text string) string {
		text = strings.NewReplacer("█", "", " why", "").Replace(text) // no room for the head of the column
		return strings.Join(strings.Fields(strings.TrimRight(text, "▏▎▍▌▋▊▉")), " ")
	}
	want := part(printed(0))
	if !strings.Contains(want, " bounced  why\n") || !strings.Contains(want, "sender-reputation 30, invalid-address") && !strings.Contains(want, "invalid-address 30, mailbox-full 30") {
		t.Errorf("not in one line:\n%s", want)
	}
	for _, columns := range []int{60, 72, 80, 100, 120, 200} {
		got := part(printed(columns))
		for line := range strings.Lines(got) {
			if w := uniseg.StringWidth(strings.TrimRight(line, "\n")); w > columns {
				t.Errorf("%d columns: a line of %d: %s", columns, w, line)
			}
		}
		if words(got) != words(want) {
			t.Errorf("%d columns: other words:\n%s\nwant\n%s", columns, got, want)
		}
	}
}
