package webhook

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/lab/receiver"
)

// TestBatches checks the bounds of an array, in records and in octets, and the order.
func TestBatches(t *testing.T) {
	long := func(n, octets int) []event.Item {
		list := make([]event.Record, n)
		for i := range list {
			list[i] = event.Record{ID: "long" + string(rune('a'+i)), Kind: dsn.KindDSN}
			list[i].Diagnostic = strings.Repeat("x", octets)
		}
		return items(t, list...)
	}
	for name, tt := range map[string]struct {
		batch    []event.Item
		requests int
	}{
		"none":            {nil, 0},
		"one":             {records(t, 1), 1},
		"a full one":      {records(t, maxRecords), 1},
		"and one more":    {records(t, maxRecords+1), 2},
		"some":            {records(t, 3*maxRecords-1), 3},
		"two long":        {long(2, maxOctets/2-1000), 1},
		"three long":      {long(3, maxOctets/2-1000), 2},
		"two over":        {long(2, maxOctets), 2},
		"one is too long": {long(1, 2*maxOctets), 1},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := native(t)
			sent, err := s.Send(t.Context(), tt.batch)
			if err != nil || sent.Done != len(tt.batch) || len(sent.Refused) != 0 {
				t.Errorf("Send() = %+v, %v", sent, err)
			}
			if got := r.Requests(); got != tt.requests {
				t.Errorf("%d requests, want %d", got, tt.requests)
			}
			if got := r.IDs(); !slices.Equal(got, names(tt.batch)) {
				t.Errorf("the receiver has %v", got)
			}
			for _, item := range tt.batch {
				if got := r.Record(item.ID); !bytes.Equal(got, item.JSON) {
					t.Errorf("%s came as %s", item.ID, got)
				}
			}
			if p := r.Problems(); p != nil {
				t.Errorf("the receiver says %q", p)
			}
		})
	}
}

// If the receiver refuses one record, the others are accepted all the same.
func TestPoison(t *testing.T) {
	for name, tt := range map[string]struct {
		poison   []string
		requests int // at most
	}{
		"one":   {[]string{"r37"}, 20},
		"first": {[]string{"r0"}, 20},
		"two":   {[]string{"r1", "r99"}, 40},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := native(t)
			r.Refuse(func(record json.RawMessage) bool {
				return slices.ContainsFunc(tt.poison, func(id string) bool { return bytes.Contains(record, []byte(`"`+id+`"`)) })
			})
			batch := records(t, maxRecords)
			sent, err := s.Send(t.Context(), batch)
			if err != nil || sent.Done != len(batch) || len(sent.Refused) != len(tt.poison) || len(sent.Why) != len(tt.poison) {
				t.Fatalf("Send() = %+v, %v", sent, err)
			}
			for i, at := range sent.Refused {
				if batch[at].ID != tt.poison[i] {
					t.Errorf("%s was refused, want %s", batch[at].ID, tt.poison[i])
				}
			}
			if got := len(r.IDs()); got != len(batch)-len(tt.poison) {
				t.Errorf("%d records arrived", got)
			}
			if got := r.Requests(); got > tt.requests {
				t.Errorf("%d requests", got)
			}
		})
	}
}

// If the URL is wrong, records are not tried one by one.
func TestRefusedWhole(t *testing.T) {
	for _, code := range []int{401, 403, 404, 410} {
		r, s := native(t)
		r.FailWith(func(int) receiver.Fault { return receiver.Status(code, "") })
		sent, err := s.Send(t.Context(), records(t, 10))
		if err != nil || sent.Done != 10 || len(sent.Refused) != 10 || len(sent.Why) != 10 || r.Requests() != 1 {
			t.Errorf("%d: Send() = %+v, %v after %d requests", code, sent, err, r.Requests())
		}
	}
}

// If sending fails between halves, records that are done stay done, and so do refusals.
func TestFailureInHalves(t *testing.T) {
	r, s := native(t)
	r.FailWith(func(n int) receiver.Fault {
		return []receiver.Fault{receiver.Status(413, ""), {}, receiver.Status(400, ""), receiver.Status(422, ""), receiver.Status(503, "")}[n]
	})
	sent, err := s.Send(t.Context(), records(t, 4))
	if err == nil || sent.Done != 3 || !slices.Equal(sent.Refused, []int{2}) {
		t.Errorf("Send() = %+v, %v", sent, err)
	}
}

// TestSigned checks with the official library that receivers accept our signatures, with
// each form of secret, and also while secrets change.
func TestSigned(t *testing.T) {
	const (
		raw     = "a secret of words, as it is"
		encoded = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		bare    = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBk"
	)
	for name, tt := range map[string]struct {
		file  string
		knows string
		want  bool
	}{
		"base64":         {encoded, encoded, true},
		"raw":            {raw + "\n", raw, true},
		"no padding":     {bare, bare + "=", true},
		"old of two":     {"\n" + encoded + "\r\n\n " + raw + "\n", raw, true},
		"new of two":     {encoded + "\n" + raw, encoded, true},
		"another":        {raw, encoded, false},
		"unsigned":       {"", raw, false},
		"nobody looks":   {"", "", true},
		"nobody looks 2": {raw, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			var knows []string
			if tt.knows != "" {
				knows = []string{tt.knows}
			}
			r, err := receiver.NewNative(knows...)
			if err != nil {
				t.Fatal(err)
			}
			o := DefaultOptions()
			o.URL = serve(t, r)
			if tt.file != "" {
				o.SecretFile = secretFile(t, tt.file)
			}
			sent, err := newSink(t, o).Send(t.Context(), records(t, 2))
			if err != nil || (len(sent.Refused) == 0) != tt.want || (len(r.IDs()) == 2) != tt.want {
				t.Errorf("Send() = %+v, %v; the receiver says %v", sent, err, r.Problems())
			}
		})
	}
}

// The same records have the same webhook-id however often they are sent; other records have
// another.
func TestBatchID(t *testing.T) {
	r, s := native(t)
	r.FailWith(func(int) receiver.Fault { return receiver.Lost() })
	batch := records(t, 3)
	for range 3 {
		_, _ = s.Send(t.Context(), batch)
	}
	if got := r.Times("r2"); got != 3 || r.Problems() != nil {
		t.Errorf("%d times, %q", got, r.Problems())
	}
	seen := map[string]bool{}
	for _, part := range [][]event.Item{batch, batch[:1], batch[1:], batch[:2], {batch[1], batch[0]}} {
		id := batchID(part)
		if seen[id] || strings.ContainsAny(id, ". ") || id != batchID(slices.Clone(part)) {
			t.Errorf("batchID() = %q", id)
		}
		seen[id] = true
	}
}

// Headers have the names that Standard Webhooks gives them, and the time is in whole seconds.
func TestSign(t *testing.T) {
	h := http.Header{}
	sign(h, nil, "msg_1", at, nil)
	if len(h) != 1 || h.Get("webhook-id") != "msg_1" {
		t.Errorf("unsigned: %v", h)
	}
	// The example in the libraries of Standard Webhooks.
	sign(h, [][]byte{mustKey(t, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), []byte("other")}, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`))
	signatures := strings.Split(h.Get("webhook-signature"), " ")
	if len(signatures) != 2 || signatures[0] != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" || h.Get("webhook-timestamp") != "1614265330" {
		t.Errorf("signed: %v", h)
	}
}
