package maillog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// stories reads lines and returns the stories in them, one a string.
func stories(t *testing.T, s *Stories, got *[]string, lines ...string) []string {
	t.Helper()
	p := testParser()
	for _, line := range lines {
		for _, e := range p.Append(nil, []byte(line)) {
			r := s.judge.Recipient(&e)
			s.Add(&e, &r)
		}
	}
	s.Close()
	return *got
}

func collect(t *testing.T) (*Stories, *[]string) {
	var got []string
	return NewStories(NewJudge(testEngine(t)), func(st *Story) {
		got = append(got, fmt.Sprintf("%s %s %s %d %s/%s/%s before=%s %s", st.QueueID, st.Recipient, st.Result, st.Attempts,
			st.Verdict.Action, st.Verdict.Type, st.Verdict.Reason, st.Before.Reason, st.Time.Sub(st.First)))
	}), &got
}

func postfixLine(clock, id, to, dsn, status string) string {
	return "Nov 27 " + clock + " mx1 postfix/smtp[1]: " + id + ": to=<" + to + ">, relay=mx.example.net[192.0.2.26]:25, delay=2, dsn=" + dsn + ", status=" + status
}

const (
	grey    = "deferred (host mx.example.net[192.0.2.26] said: 450 4.2.0 Greylisted (in reply to RCPT TO command))"
	full    = "deferred (host mx.example.net[192.0.2.26] said: 452 4.2.2 Mailbox full (in reply to RCPT TO command))"
	refused = "deferred (connect to mx.example.net[192.0.2.26]:25: Connection refused)"
	unknown = "bounced (host mx.example.net[192.0.2.26] said: 550 5.1.1 User unknown (in reply to RCPT TO command))"
)

func TestStories(t *testing.T) {
	tests := []struct {
		name        string
		lines, want []string
	}{
		{"one attempt", []string{postfixLine("10:00:00", "AAAA1", "u@x", "2.0.0", "sent (250 ok)")},
			[]string{"AAAA1 u@x sent 1 delivered// before= 0s"}},
		{"greylisted, then sent", []string{
			postfixLine("10:00:00", "AAAA1", "u@x", "4.2.0", grey), postfixLine("10:05:00", "AAAA1", "u@x", "4.2.0", grey),
			postfixLine("10:10:00", "AAAA1", "u@x", "2.0.0", "sent (250 ok)")},
			[]string{"AAAA1 u@x sent 3 delivered// before=greylisted 10m0s"}},
		{"two recipients", []string{
			postfixLine("10:00:00", "AAAA1", "u@x", "4.2.0", grey), postfixLine("10:00:00", "AAAA1", "v@x", "4.2.0", full),
			postfixLine("10:05:00", "AAAA1", "v@x", "5.1.1", unknown)},
			[]string{"AAAA1 v@x bounced 2 failed/hard/unknown-recipient before= 5m0s", "AAAA1 u@x deferred 1 delayed/soft/greylisted before= 0s"}},
		{"expired", []string{
			postfixLine("10:00:00", "AAAA1", "u@x", "4.2.0", full), postfixLine("10:00:00", "AAAA1", "v@x", "4.4.1", refused),
			"Nov 27 11:00:00 mx1 postfix/qmgr[9]: AAAA1: from=<s@y>, status=expired, returned to sender"},
			[]string{"AAAA1 u@x expired 1 failed/soft/mailbox-full before= 1h0m0s", "AAAA1 v@x expired 1 failed/soft/network-error before= 1h0m0s"}},
		{"expired, and nothing is known", []string{"Nov 27 11:00:00 mx1 postfix/qmgr[9]: AAAA1: from=<s@y>, status=expired, returned to sender"},
			[]string{"AAAA1  expired 0 failed/soft/expired before= 0s"}},
		{"two hosts with one id", []string{
			postfixLine("10:00:00", "AAAA1", "u@x", "4.2.0", grey),
			strings.Replace(postfixLine("10:05:00", "AAAA1", "u@x", "2.0.0", "sent (250 ok)"), "mx1", "mx2", 1)},
			[]string{"AAAA1 u@x sent 1 delivered// before= 0s", "AAAA1 u@x deferred 1 delayed/soft/greylisted before= 0s"}},
		{"Exim", []string{
			"2026-11-27 10:00:00 1tG9oG-00000000Yi2-0aBc == u@x R=d T=t defer (-44) H=mx.x [192.0.2.1]: SMTP error from remote mail server after RCPT TO:<u@x>: 452 4.2.2 Mailbox full",
			"2026-11-27 10:05:00 1tG9oG-00000000Yi2-0aBc == u@x R=d T=t defer (-53): retry time not reached for any host for 'x'",
			"2026-11-27 10:10:00 1tG9oG-00000000Yi2-0aBc ** u@x: retry timeout exceeded",
			"2026-11-27 10:10:00 1tG9oG-00000000Yi2-0aBc Completed"},
			[]string{"1tG9oG-00000000Yi2-0aBc u@x expired 1 failed/soft/mailbox-full before= 10m0s"}},
		{"a content filter that was away", []string{
			postfixLine("10:00:00", "AAAA1", "u@x", "4.4.1", refused),
			strings.Replace(postfixLine("10:05:00", "AAAA1", "u@x", "2.0.0", "sent (250 2.0.0 Ok: queued as BBBB2)"), "mx.example.net[192.0.2.26]:25", "127.0.0.1[127.0.0.1]:10024", 1),
			strings.Replace(postfixLine("10:05:00", "AAAA2", "u@x", "2.0.0", "sent (250 2.0.0 Ok: queued as BBBB3)"), "mx.example.net[192.0.2.26]:25", "127.0.0.1[127.0.0.1]:10024", 1)},
			[]string{"AAAA1 u@x passed 2 relayed// before=network-error 5m0s"}},
		{"Exim only waits", []string{
			"2026-11-27 10:05:00 1tG9oG-00000000Yi2-0aBc == u@x R=d T=t defer (-53): retry time not reached for any host for 'x'"},
			[]string{"1tG9oG-00000000Yi2-0aBc u@x deferred 0 delayed/soft/network-error before= 0s"}},
		{"refusals by us are no stories", []string{"Nov 27 11:00:00 mx1 postfix/smtpd[9]: NOQUEUE: reject: RCPT from c.example[192.0.2.7]: 554 5.7.1 no; from=<s@y> to=<u@x> proto=SMTP helo=<h>"}, nil},
	}
	for _, tt := range tests {
		s, got := collect(t)
		if got := stories(t, s, got, tt.lines...); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
		if s.Open() != 0 || len(s.messages) != 0 || s.oldest != nil || s.newest != nil {
			t.Errorf("%s: something is left open", tt.name)
		}
	}
}

// TestStoriesAreBounded opens more stories than may be open, and ends old ones.
func TestStoriesAreBounded(t *testing.T) {
	s, got := collect(t)
	s.MaxOpen, s.MaxAge = 10, time.Hour
	p := testParser()
	add := func(clock, id string) {
		for _, e := range p.Append(nil, []byte(postfixLine(clock, id, "u@x", "4.2.0", grey))) {
			r := s.judge.Recipient(&e)
			s.Add(&e, &r)
		}
	}
	for i := range 100 {
		add("10:00:00", fmt.Sprintf("AAAA%d", i))
		if s.Open() > 10 {
			t.Fatalf("%d stories are open", s.Open())
		}
	}
	if len(*got) != 90 || !strings.HasPrefix((*got)[0], "AAAA0 ") {
		t.Errorf("%d stories ended, the first: %s", len(*got), (*got)[0])
	}
	add("10:59:00", "AAAA95") // the others are too old two minutes later
	add("11:01:00", "AAAA200")
	if s.Open() != 2 {
		t.Errorf("%d stories are open", s.Open())
	}
}
