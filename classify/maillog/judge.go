package maillog

import (
	"hash/maphash"
	"strings"
	"sync"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// Evidence returns what an engine judges a failed attempt by.
func (e *Entry) Evidence() classify.Evidence {
	ev := classify.Evidence{Reply: e.Reply, Status: e.Status, SMTPCode: e.Code, Action: e.Action(),
		RemoteMTA: e.Relay, Recipient: e.Recipient}
	if ev.Reply == "" {
		ev.Reply = e.Words
	} else if e.Words != e.Reply {
		ev.Notice = e.Words
	}
	return ev
}

// Action returns the action that a delivery report about the attempt would have
// (RFC 3464 section 2.3.3), "" if there would be none.
func (e *Entry) Action() dsn.Action {
	switch e.Result {
	case Sent:
		return dsn.ActionDelivered
	case Passed:
		return dsn.ActionRelayed
	case Deferred, Waiting:
		return dsn.ActionDelayed
	case Bounced, Expired, Probed:
		return dsn.ActionFailed
	}
	return ""
}

// Judge asks an engine what the replies in a log mean. A log repeats few replies many times,
// so it remembers verdicts: if replies differ only in the recipient's name, IP addresses and
// long ids, it judges the first of them. It may be used concurrently.
type Judge struct {
	engine *classify.Engine
	seeds  [2]maphash.Seed

	mu        sync.Mutex
	now, past map[memoKey]classify.Recipient
}

type memoKey [2]uint64

// maxMemo bounds each of the two generations of verdicts that are remembered.
const maxMemo = 8 << 10

// NewJudge returns a judge that asks this engine.
func NewJudge(e *classify.Engine) *Judge {
	return &Judge{engine: e, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, now: map[memoKey]classify.Recipient{}}
}

// Recipient returns the verdict on an entry about a recipient. After a success it has
// only the provider, as in a delivery report.
func (j *Judge) Recipient(e *Entry) classify.Recipient {
	var room [1024]byte
	key := j.key(e, room[:0])
	r, ok := j.known(key)
	if !ok {
		ev := e.Evidence()
		r = j.engine.ClassifyReply(&ev)
		if !r.Action.Bounced() {
			r = classify.Recipient{Action: r.Action, Provider: r.Provider}
		}
		// What differs from entry to entry is not remembered.
		r.RemoteMTA, r.Diagnostic = "", ""
		j.remember(key, r)
	}
	r.Address, r.Original, r.RemoteMTA = e.Recipient, e.Original, e.Relay
	if r.Diagnostic = e.Reply; r.Diagnostic == "" {
		r.Diagnostic = e.Words
	}
	if !r.Action.Bounced() {
		r.Status = e.Status.String()
	}
	return r
}

func (j *Judge) known(key memoKey) (classify.Recipient, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r, ok := j.now[key]
	if !ok {
		if r, ok = j.past[key]; ok {
			j.keep(key, r)
		}
	}
	return r, ok
}

func (j *Judge) remember(key memoKey, r classify.Recipient) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.keep(key, r)
}

// keep notes a verdict. What was not asked for while the memory filled up is forgotten.
func (j *Judge) keep(key memoKey, r classify.Recipient) {
	if len(j.now) >= maxMemo {
		j.past, j.now = j.now, map[memoKey]classify.Recipient{}
	}
	j.now[key] = r
}

// key returns what the verdict on an entry depends on.
func (j *Judge) key(e *Entry, b []byte) memoKey {
	b = append(b, e.Result...)
	b = append(append(b, 0), e.Relay...)
	if e.Action().Bounced() {
		for _, n := range [...]int16{e.Status.Class, e.Status.Subject, e.Status.Detail} {
			b = append(b, byte(n>>8), byte(n))
		}
		b = append(b, e.Recipient[strings.LastIndexByte(e.Recipient, '@')+1:]...)
		b = append(b, 0)
		b = appendNormal(b, e.Reply, e.Recipient)
		b = append(b, 0)
		b = appendNormal(b, e.Words, e.Recipient)
	}
	return memoKey{maphash.Bytes(j.seeds[0], b), maphash.Bytes(j.seeds[1], b)}
}

// Lengths of ids, in octets. No rule knows one: codes of providers are shorter.
const (
	minID     = 12 // letters and digits
	minDigits = 9  // digits alone
)

// appendNormal appends a reply in a form in which all recipients, all IP addresses and all
// ids look the same.
func appendNormal(b []byte, s, recipient string) []byte {
	for i := 0; i < len(s); {
		if recipient != "" && s[i] == recipient[0] && strings.HasPrefix(s[i:], recipient) {
			b, i = append(b, 1), i+len(recipient)
			continue
		}
		if !ascii.IsAlnum(s[i]) || i > 0 && strings.IndexByte(" [(,", s[i-1]) < 0 {
			b = append(b, s[i])
			i++
			continue
		}
		end, digits, letters, dots := i, 0, 0, 0
		for end < len(s) && (ascii.IsAlnum(s[end]) || s[end] == '-' || s[end] == '.') {
			switch c := s[end]; {
			case ascii.IsDigit(c):
				digits++
			case c == '.':
				dots++
			case c != '-':
				letters++
			}
			end++
		}
		alone := end == len(s) || strings.IndexByte(" ]),", s[end]) >= 0
		switch {
		case alone && letters == 0 && dots == 3 && digits >= 4: // an IPv4 address, a number of a list
			b = append(b, 2)
		case alone && dots <= 1 && (letters > 0 && digits >= 4 && end-i >= minID || letters == 0 && dots == 0 && digits >= minDigits):
			b = append(b, 3)
		default:
			b = append(b, s[i:end]...)
		}
		i = end
	}
	return b
}
