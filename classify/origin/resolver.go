package origin

import (
	"context"
	"crypto"
	"errors"
	"net"
	"sync"
	"time"
)

// Resolver looks up TXT records, as [net.Resolver] does: each record is one string.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

var _ Resolver = (*net.Resolver)(nil)

const (
	// DefaultDeadline is how long a message waits for DNS in all.
	DefaultDeadline = 500 * time.Millisecond

	maxLookups = 2    // of a message
	maxFlying  = 8    // look-ups at the same time
	maxCached  = 1000 // names
	maxRecords = 8    // TXT records of a name that are read

	// How long answers are kept. TTLs are not known here. Keys remain in DNS for much
	// longer than that, since mail may be on its way for days.
	keepKey    = time.Hour
	keepNone   = 10 * time.Minute // there is no usable key
	keepFailed = 30 * time.Second // DNS did not answer

	lookupTimeout = 5 * time.Second // for one, which goes on while nobody waits
)

const (
	whyNoAnswer = "DNS did not answer in time for the key of the DKIM signature"
	whyTooMany  = "too many keys of DKIM signatures would have to be looked up"
)

// cache keeps keys from DNS.
type cache struct {
	dns    Resolver
	now    func() time.Time
	flying chan struct{}

	mu    sync.Mutex
	names map[string]*answer
}

// answer is a key, or why there is none.
type answer struct {
	done  chan struct{} // closed when the rest is there
	key   crypto.PublicKey
	why   string
	until time.Time
}

func newCache(dns Resolver, now func() time.Time) *cache {
	return &cache{dns: dns, now: now, flying: make(chan struct{}, maxFlying), names: map[string]*answer{}}
}

// cached returns the answer for a name that is known or on its way.
func (c *cache) cached(name string) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fresh(name)
}

// fresh returns the answer for a name unless it is too old. Callers hold the lock.
func (c *cache) fresh(name string) *answer {
	a := c.names[name]
	if a == nil {
		return nil
	}
	select {
	case <-a.done:
		if c.now().After(a.until) {
			delete(c.names, name)
			return nil
		}
	default:
	}
	return a
}

// ask starts a look-up, unless one is on its way. It returns nil if there are too many.
func (c *cache) ask(name string) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.fresh(name); a != nil {
		return a
	}
	select {
	case c.flying <- struct{}{}:
	default:
		return nil
	}
	c.makeRoom()
	a := &answer{done: make(chan struct{})}
	c.names[name] = a
	go func() {
		defer func() { <-c.flying }()
		defer close(a.done)
		ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
		defer cancel()
		var keep time.Duration
		a.key, a.why, keep = c.lookUp(ctx, name)
		a.until = c.now().Add(keep)
	}()
	return a
}

// makeRoom drops answers if there are too many: old ones, then those without a key, which a
// stranger can have us ask for without end, else any.
func (c *cache) makeRoom() {
	if len(c.names) < maxCached {
		return
	}
	for name := range c.names {
		c.fresh(name)
	}
	for _, drop := range []func(*answer) bool{(*answer).useless, func(*answer) bool { return true }} {
		for name, a := range c.names {
			if len(c.names) < maxCached {
				return
			}
			if drop(a) {
				delete(c.names, name)
			}
		}
	}
}

// useless reports whether an answer is there and is no key.
func (a *answer) useless() bool {
	select {
	case <-a.done:
		return a.key == nil
	default:
		return false
	}
}

// wait waits for an answer, at most until ctx ends. One that is there by then counts.
func (a *answer) wait(ctx context.Context) (key crypto.PublicKey, why string) {
	select {
	case <-a.done:
	case <-ctx.Done():
	}
	select {
	case <-a.done:
		return a.key, a.why
	default:
		return nil, whyNoAnswer
	}
}

// lookUp asks DNS for a key, and says for how long to keep the answer.
func (c *cache) lookUp(ctx context.Context, name string) (key crypto.PublicKey, why string, keep time.Duration) {
	why, keep = "DNS has no key for the DKIM signature", keepNone
	records, err := c.dns.LookupTXT(ctx, name)
	var de *net.DNSError
	switch {
	case errors.As(err, &de) && de.IsNotFound:
		return nil, why, keep
	case err != nil:
		return nil, "DNS does not answer for the key of the DKIM signature", keepFailed
	}
	for i, r := range records {
		if i == maxRecords {
			break
		}
		if key, err := parseRecord(r); err == nil {
			return key, "", keepKey
		}
		why = "DNS has no usable key for the DKIM signature"
	}
	return nil, why, keep
}
