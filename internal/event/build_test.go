package event

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

var at = time.Date(2026, 11, 27, 18, 0, 0, 0, time.UTC)

// Ids sort in the order in which they were made, whatever the clock does, and no two are
// the same.
func TestNewID(t *testing.T) {
	var ids []string
	for i := range 5000 {
		now := at
		if i%7 == 3 {
			now = at.Add(-time.Hour)
		}
		ids = append(ids, newID(now))
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Error("ids are out of order, or there twice")
	}
	seen := sync.Map{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if _, again := seen.LoadOrStore(newID(at), true); again {
					t.Error("an id is there twice")
				}
			}
		})
	}
	wg.Wait()
}

// What a stranger wrote is limited in total for the records of one message, and contains
// no control characters.
func TestBuildBounds(t *testing.T) {
	res := classify.Result{Kind: dsn.KindDSN}
	long := strings.Repeat("ü", 8<<10)
	for i := range 1000 {
		res.Recipients = append(res.Recipients, classify.Recipient{Address: fmt.Sprintf("%d@example.com", i), Diagnostic: long})
	}
	env := Envelope{Time: at, To: slices.Repeat([]string{strings.Repeat("ä", 100)}, 20)}
	total := 0
	for _, r := range Build(&res, env) {
		line, err := r.JSON()
		if err != nil {
			t.Fatal(err)
		}
		total += len(line)
	}
	if limit := maxDetails + 1000*(maxInShort+1000); total > limit {
		t.Errorf("%d octets of records, want at most %d", total, limit)
	}
	res.Recipients = []classify.Recipient{{Address: "a\x00b\u0085\u2028\u202E\u2066\xff@example.com", Diagnostic: "no\x07 such\u009f user", RemoteMTA: strings.Repeat("m", 1000)}}
	r := Build(&res, Envelope{Time: at, From: "x\r\ny", QueueID: "\x1b[31m", To: []string{"a\nb"}})[0]
	if r.Address != "ab\uFFFD@example.com" || r.Diagnostic != "no such user" || len(r.RemoteMTA) != maxValue || r.EnvelopeFrom != "xy" ||
		r.QueueID != "[31m" || r.EnvelopeTo[0] != "ab" {
		t.Errorf("%+v", r)
	}
	if got := Build(&classify.Result{Kind: dsn.KindNone}, env); got != nil {
		t.Errorf("of ordinary mail: %+v", got)
	}
}

// A record contains what is known about the message that came back. A complaint makes one
// record for each recipient that it names, or one if it names none.
func TestBuildReturned(t *testing.T) {
	res := classify.Result{Kind: dsn.KindFeedback, ReturnedMessageID: "m@example.org",
		Returned: dsn.Returned{From: "News <news@example.org>", To: "jo@example.com", Date: "Fri, 4 Sep 2026 12:00:00 +0000",
			Fields: []dsn.Field{{Name: "List-Id", Value: "News <news.example.org>"}, {Name: "X-Own", Value: "a\x07b"}}},
		Feedback: &dsn.Feedback{Type: dsn.FeedbackAbuse, SourceIP: "192.0.2.7", ArrivalDate: "today", Recipients: []string{"jo@example.com", "ann@example.com"}}}
	got := Build(&res, Envelope{Time: at, Source: SourceMilter, VERP: "jo@example.com", Token: "77"})
	if len(got) != 2 {
		t.Fatalf("%d records, want 2", len(got))
	}
	for i, want := range []string{"jo@example.com", "ann@example.com"} {
		r := got[i]
		if r.Address != want || r.Category != "" || r.Action != "" || *r.Feedback != (Feedback{"abuse", "192.0.2.7", "today"}) || r.VERP != "jo@example.com" || r.Token != "77" ||
			fmt.Sprint(r.Returned) != "{m@example.org news@example.org Fri, 4 Sep 2026 12:00:00 +0000 map[List-Id:News <news.example.org> X-Own:ab]}" {
			t.Errorf("%+v", r)
		}
	}
	if got[0].ID >= got[1].ID {
		t.Errorf("ids %s and %s are not in the order of the recipients", got[0].ID, got[1].ID)
	}
	res.Feedback.Recipients = nil
	if got := Build(&res, Envelope{Time: at}); len(got) != 1 || got[0].Address != "" || got[0].Feedback == nil {
		t.Errorf("of a complaint about nobody: %+v", got)
	}
}
