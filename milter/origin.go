package milter

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/internal/proof"
)

const (
	// maxWaiting is how many messages may wait for keys from DNS at a time. Each holds
	// what it returns: 320 KiB at most with the default limits.
	maxWaiting = 32

	// maxAnswer is how long the MTA waits for us at the end of a message, at most. A
	// message that has waited for its inspection waits less for DNS.
	maxAnswer = maxWait + maxInspect + 250*time.Millisecond
)

// beginOrigin finds out whose mail a report returns, or takes a place to wait for DNS
// after the inspection, so that a slow DNS server keeps no other message from being
// inspected.
func (s *session) beginOrigin(ctx context.Context, res *classify.Result) {
	m := &s.msg
	if m.st.origin == nil || !proof.Applies(res) {
		return
	}
	if !m.st.origin.Waits() || res.Returned.Source == nil {
		m.report = s.examine(ctx, res, false)
		return
	}
	select {
	case s.srv.waiting <- struct{}{}:
		m.waits = true
	default:
		m.report = s.examine(ctx, res, false)
	}
}

// endOrigin ends what beginOrigin has begun.
func (s *session) endOrigin(res *classify.Result) {
	m := &s.msg
	if !m.waits {
		return
	}
	defer func() { <-s.srv.waiting }()
	ctx, cancel := context.WithDeadline(context.Background(), m.ended.Add(maxAnswer))
	defer cancel()
	m.report = s.examine(ctx, res, true)
	res.Returned.Source = nil // it is large, and was read
}

// examine asks whose mail a report returns, and DNS too if wait is true. Whatever goes
// wrong, nothing is proved.
func (s *session) examine(ctx context.Context, res *classify.Result, wait bool) (r *proof.Report) {
	m := &s.msg
	defer func() {
		if v := recover(); v != nil {
			s.srv.metrics.failed(stageInspect)
			s.srv.logs.error(stageInspect, "examining whose mail came back",
				"error", &panicError{v, nil}, "stack", string(debug.Stack()))
			r = proof.Unproven(res, "its examination failed")
		}
	}()
	env := proof.Envelope{To: s.recipients(), VERP: m.verp, Local: s.localBounce(), Host: s.hostName(), Shortened: m.octets.shortened}
	if wait {
		return m.st.origin.Examine(ctx, res, env, time.Now())
	}
	return m.st.origin.ExamineNow(ctx, res, env, time.Now())
}

// originFields returns the header that says whose mail came back.
func originFields(prefix string, whose *proof.Report) []field {
	if whose == nil {
		return nil
	}
	return []field{{prefix + tagOrigin, string(whose.Message.Origin)}}
}

// originValue returns what the X-Bounce-Result of a recipient says about it.
func originValue(whose *proof.Report, rcpt int, utf8 bool) string {
	if whose == nil {
		return ""
	}
	f := &whose.Each[rcpt]
	value := ";\n\t" + keyOrigin + "=" + string(f.Origin)
	if f.Origin != origin.Ours {
		return value
	}
	value += "; " + keyProof + "=" + string(f.Proof) + "; " + keyBound + "="
	if f.Bound {
		value += "yes"
	} else {
		value += "no"
	}
	if f.WentTo != "" {
		value += ";\n\t" + keyWentTo + "=" + addressValue(f.WentTo, utf8)
	}
	return value
}
