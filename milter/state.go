package milter

import (
	"context"
	"net/netip"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// Inspector reads and judges one message, without a reference to raw
// afterwards. When ctx ends, it answers soon with what it found by then. It
// must not fail; [classify.Engine] is the one there is.
type Inspector interface {
	Classify(ctx context.Context, raw []byte) classify.Result
}

// Rules are the knowledge that a server works with; a reload changes it as one.
type Rules struct {
	Inspector Inspector
	Labels    Labels // what its verdicts may name
	Version   string // of the rule set, for build_info
}

// state is a configuration in force with its rules. It never changes: a reload
// puts another in its place, and a message ends under the one it began with.
type state struct {
	cfg    Config
	rules  Rules
	own    ownNames // of the header fields that it writes
	fields int      // of one header, kept for inspection
}

// maxVital is how many of the fields that decide what a message is ([dsn.Decisive]) are kept
// beyond the limits of its header, of at most maxVitalOctets each.
const (
	maxVital       = 16
	maxVitalOctets = 4 << 10
)

func newState(cfg Config, rules Rules) *state {
	st := &state{cfg: cfg, rules: rules, own: newOwnNames(headerNames(cfg))}
	// An inspector reads so many fields of a header by default: those that
	// decide must be among them, and the Return-Path on top.
	st.fields = min(cfg.Limits.MaxHeaderFields, dsn.DefaultLimits().HeaderFields-maxVital-1)
	return st
}

// trusts reports whether a client's headers with our prefix stay.
func (st *state) trusts(client netip.Addr) bool {
	if !client.IsValid() {
		return false
	}
	for _, p := range st.cfg.TrustedNetworks {
		if p.Contains(client) {
			return true
		}
	}
	return false
}

// letsGoAtMAIL reports whether ordinary mail may go by its sender alone: nobody
// wants to see its header.
func (st *state) letsGoAtMAIL() bool {
	return st.cfg.ForgedHeaders == ForgedKeep && st.cfg.LookAt == LookAtEnvelope
}
