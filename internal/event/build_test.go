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

// Ids are in the order in which they were made, whatever the clock does, and no two
// are the same.
func TestNewID(t *testing.T) {
	var ids []string
	for i := range 5000 {
		now := at
		if i%7 == 3 {
			now = at.Add(-time.Hour)
		}
		ids = append(ids, NewID(now))
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Error("ids are out of order, or there twice")
	}
	seen := sync.Map{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if _, again := seen.LoadOrStore(NewID(at), true); again {
					t.Error("an id is there twice")
				}
			}
		})
	}
	wg.Wait()
}

// What a stranger wrote is bounded and has no control characters, in records of one
// message together.
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
	res.Recipients = []classify.Recipient{{Address: "a\x00b\u0085\u2028\xff@example.com", Diagnostic: "no\x07 such\u009f user", RemoteMTA: strings.Repeat("m", 1000)}}
	r := Build(&res, Envelope{Time: at, From: "x\r\ny", QueueID: "\x1b[31m", To: []string{"a\nb"}})[0]
	if r.Address != "ab\uFFFD@example.com" || r.Diagnostic != "no such user" || len(r.RemoteMTA) != maxValue || r.EnvelopeFrom != "xy" ||
		r.QueueID != "[31m" || r.EnvelopeTo[0] != "ab" {
		t.Errorf("%+v", r)
	}
	if got := Build(&classify.Result{Kind: dsn.KindNone}, env); got != nil {
		t.Errorf("of ordinary mail: %+v", got)
	}
}
