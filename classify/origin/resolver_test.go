package origin

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// dnsFunc is a resolver.
type dnsFunc func(ctx context.Context, name string) ([]string, error)

func (f dnsFunc) LookupTXT(ctx context.Context, name string) ([]string, error) { return f(ctx, name) }

// counted counts what a resolver is asked.
func counted(f dnsFunc) (dnsFunc, func() int) {
	var mu sync.Mutex
	n := 0
	return func(ctx context.Context, name string) ([]string, error) {
			mu.Lock()
			n++
			mu.Unlock()
			return f(ctx, name)
		}, func() int {
			mu.Lock()
			defer mu.Unlock()
			return n
		}
}

// With answers of DNS, good and hostile.
func TestDNS(t *testing.T) {
	record := "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(spki(t, public("rsa")))
	weak := "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(spki(t, weakKey(512)))
	const tags = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=rsa; h=from:to; bh=%s"
	many := func(s string, n int) []string { return strings.Split(strings.Repeat(s+"\x00", n), "\x00") }
	for _, tt := range []struct {
		name    string
		tags    string
		records []string
		err     error
		origin  Origin
		why     string
	}{
		{name: "a key", records: []string{record}, origin: Ours},
		{name: "others beside it", records: []string{"v=spf1 -all", record}, origin: Ours},
		{name: "for its very domain", records: []string{record + "; t=s"}, origin: Ours},
		{name: "for its very domain, and the identity below", tags: tags + "; i=a@sub.example.org", records: []string{record + "; t=s"}, why: "as the key wants it"},
		{name: "none", err: &net.DNSError{IsNotFound: true}, why: "DNS has no key"},
		{name: "no records", why: "DNS has no key"},
		{name: "failed", err: errors.New("SERVFAIL"), why: "DNS does not answer"},
		{name: "revoked", records: []string{"v=DKIM1; p="}, why: "no usable key"},
		{name: "512 bits", records: []string{weak}, why: "no usable key"},
		{name: "malformed", records: []string{"v=DKIM1; p=\xff\x00=;;=", "\x00"}, why: "no usable key"},
		{name: "huge", records: []string{strings.Repeat("v=DKIM1;", 1<<20)}, why: "no usable key"},
		{name: "many", records: append(many("v=DKIM1; p=", 100_000), record), why: "no usable key"},
		{name: "another selector", tags: strings.Replace(tags, "s=rsa", "s=other", 1), records: []string{record}, why: "selector that is not configured"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dns, asked := counted(func(_ context.Context, name string) ([]string, error) {
				if name != "rsa._domainkey.example.org" {
					t.Errorf("asked for %s", name)
				}
				return tt.records, tt.err
			})
			j := judgeOf(t, Options{DKIM: []DKIMKey{{"example.org", "rsa", nil}}, Resolver: dns, Deadline: time.Minute})
			if tt.tags == "" {
				tt.tags = tags
			}
			header := []byte(signBy(t, "rsa", tt.tags, mailHeader, mailBody))
			for range 3 {
				got := j.Examine(t.Context(), &Message{Header: header}, now).Of(Recipient{Final: "u@example.com"})
				if (got.Origin == Ours) != (tt.origin == Ours) || !strings.Contains(got.Why, tt.why) {
					t.Errorf("%+v", got)
				}
			}
			if asked() > 1 {
				t.Errorf("asked %d times", asked())
			}
		})
	}
}

// A message waits no longer than the deadline, also for a resolver that never returns.
func TestDNSHangs(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	dns, asked := counted(func(context.Context, string) ([]string, error) { <-release; return nil, nil })
	j := judgeOf(t, Options{DKIM: []DKIMKey{{Domain: "example.org"}}, Resolver: dns, Deadline: time.Millisecond})
	var header strings.Builder
	for i := range 4 {
		header.WriteString(strings.SplitAfter(signBy(t, "rsa", fmt.Sprintf("v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s%d; h=from:to; bh=%%s", i), mailHeader, mailBody), "\r\n")[0])
	}
	header.WriteString(mailHeader)
	for range 10 {
		if got := j.Examine(t.Context(), &Message{Header: []byte(header.String())}, now).Of(Recipient{Final: "u@example.com"}); got.Origin != Unproven || !strings.Contains(got.Why, "in time") {
			t.Errorf("%+v", got)
		}
	}
	for i := range 50 {
		h := signBy(t, "ed", fmt.Sprintf("v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=t%d; h=from:to; bh=%%s", i), mailHeader, mailBody)
		j.Examine(t.Context(), &Message{Header: []byte(h)}, now)
	}
	if n := asked(); n > maxFlying {
		t.Errorf("%d look-ups at once", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j.Examine(ctx, &Message{Header: []byte(header.String())}, now)
}

// Answers are forgotten in time, and there are never too many.
func TestCache(t *testing.T) {
	at := now
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return at }
	var err error
	dns, asked := counted(func(context.Context, string) ([]string, error) {
		return []string{"v=DKIM1; p=" + base64.StdEncoding.EncodeToString(spki(t, public("rsa")))}, err
	})
	c := newCache(dns, clock)
	ask := func(name string) string {
		a := c.ask(name)
		for a == nil {
			a = c.ask(name)
		}
		_, why := a.wait(t.Context())
		return why
	}
	later := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); at = at.Add(d) }
	for _, tt := range []struct {
		after time.Duration
		err   error
		asked int
		why   string
	}{
		{0, nil, 1, ""}, {keepKey - 1, errors.New("down"), 1, ""}, {2, errors.New("down"), 2, "DNS does not answer"}, {keepFailed - 1, nil, 2, "DNS does not answer"},
		{2, &net.DNSError{IsNotFound: true}, 3, "DNS has no key"}, {keepNone - 1, nil, 3, "DNS has no key"}, {2, nil, 4, ""},
	} {
		later(tt.after)
		err = tt.err
		if why := ask("a"); !strings.HasPrefix(why, tt.why) || (why == "") != (tt.why == "") || asked() != tt.asked {
			t.Errorf("%+v: %q, asked %d times", tt, why, asked())
		}
	}
	for i := range maxCached + 100 {
		ask(fmt.Sprint(i))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.names) > maxCached {
		t.Errorf("%d answers are kept", len(c.names))
	}
}

// A stranger who has many selectors asked that do not exist drives out no key.
func TestCacheKeepsKeys(t *testing.T) {
	record := "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(spki(t, public("rsa")))
	dns, asked := counted(func(_ context.Context, name string) ([]string, error) {
		if name != "ours" {
			return nil, &net.DNSError{IsNotFound: true}
		}
		return []string{record}, nil
	})
	c := newCache(dns, func() time.Time { return now })
	ask := func(name string) *answer {
		for {
			if a := c.ask(name); a != nil {
				a.wait(t.Context())
				return a
			}
		}
	}
	ask("ours")
	const names = 3 * maxCached
	for i := range names {
		ask(fmt.Sprint(i))
	}
	if a := c.cached("ours"); a == nil || a.key == nil || asked() != names+1 {
		t.Errorf("%+v after %d look-ups", a, asked())
	}
}
