package classify

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// manyRefused is a report of n recipients that a reply calls unknown.
func manyRefused(n int, reply func(i int) string) []byte {
	var b strings.Builder
	b.WriteString("Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nTo: ada@sender.example\n" +
		"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n" +
		"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n")
	for i := range n {
		fmt.Fprintf(&b, "Final-Recipient: rfc822; u%d@example.com\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; %s\n\n", i, reply(i))
	}
	b.WriteString("--b--\n")
	return []byte(b.String())
}

// TestWorkIsBounded allows less work than a report needs. Every recipient that was read is listed,
// and none is hard if something about it was left unread.
func TestWorkIsBounded(t *testing.T) {
	raw := manyRefused(300, func(i int) string {
		return fmt.Sprintf("550 5.1.1 <u%d@example.com>: user unknown", i) + strings.Repeat(" to all of us here", 20)
	})
	read := dsn.Read(t.Context(), raw, dsn.Limits{}).Work
	whole := builtIn(t).Classify(t.Context(), raw)
	if whole.Truncated || len(whole.Recipients) != 300 {
		t.Fatalf("%d recipients, truncated %v", len(whole.Recipients), whole.Truncated)
	}
	for _, r := range whole.Recipients {
		if r.Type != Hard {
			t.Fatalf("%s is %s", r.Address, r.Type)
		}
	}
	dead := func(work int) (n int) {
		t.Helper()
		e, err := New(Options{Limits: dsn.Limits{Work: work}})
		if err != nil {
			t.Fatal(err)
		}
		res := e.Classify(t.Context(), raw)
		if !res.Truncated || work > whole.Work/2 && len(res.Recipients) != 300 {
			t.Errorf("%d units: %d recipients, truncated %v", work, len(res.Recipients), res.Truncated)
		}
		for _, r := range res.Recipients {
			wellFormed(t, e, r)
			if r.Type == Hard {
				n++
			}
		}
		return n
	}
	for _, tenths := range []int{6, 9} {
		if n := dead(read + (whole.Work-read)*tenths/10); n == 0 || n == 300 {
			t.Errorf("with %d tenths of the judging %d of 300 are hard", tenths, n)
		}
	}
	for _, work := range []int{1, 1000, whole.Work / 10} {
		if n := dead(work); n > 0 {
			t.Errorf("with %d units of work %d are hard", work, n)
		}
	}
}

// TestSharedReplyIsJudgedOnce counts the work of recipients who share a reply.
func TestSharedReplyIsJudgedOnce(t *testing.T) {
	e := builtIn(t)
	long := "550 5.1.1 user unknown " + strings.Repeat("who is that? ", 15)
	judging := func(reply func(int) string) int {
		raw := manyRefused(200, reply)
		return e.Classify(t.Context(), raw).Work - dsn.Read(context.Background(), raw, dsn.Limits{}).Work
	}
	same := judging(func(int) string { return long })
	each := judging(func(i int) string { return long + fmt.Sprint(i) })
	if same > each/20 {
		t.Errorf("%d units for a shared reply, %d for replies of their own", same, each)
	}
}
