package milter

import (
	"context"
	"net/netip"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/page"
	"github.com/bounce-milter/bounce-milter/internal/proof"
	"github.com/bounce-milter/bounce-milter/internal/verp"
	gomilter "github.com/emersion/go-milter"
)

// Inspector reads and judges one message. It keeps no reference to raw. When ctx ends,
// it soon returns what it has found by then. It cannot fail. [classify.Engine] is an
// Inspector.
type Inspector interface {
	Classify(ctx context.Context, raw []byte) classify.Result
}

// Rules are the rules that a server works with; a reload replaces all of them at once.
type Rules struct {
	Inspector Inspector
	Reader    dsn.Reader // whose gate says which messages the inspector is shown
	Labels    Labels     // what its verdicts may name
	Words     page.Words // what they mean, for the status page
	Version   string     // of the rule set, for build_info
}

// state is a configuration in force with its rules. It never changes: a reload puts
// another in its place, and a message ends under the state that it began with.
type state struct {
	cfg    Config
	rules  Rules
	own    ownNames // of the header fields that it writes
	verp   *verp.Patterns
	fields int             // of one header, kept for inspection
	origin *proof.Examiner // nil if nobody asks whose mail came back

	actions    *action.List
	options    gomilter.OptAction // to ask the MTA for
	recipients bool               // those of envelopes are asked for
	attributes bool               // verdicts are about whom these name
	tickets    bool               // mail of ours gets one
}

// maxVital is how many fields that decide what a message is ([dsn.Reader.Decisive]) are kept
// beyond the limits of its header, with at most maxVitalOctets each.
const (
	maxVital       = 16
	maxVitalOctets = 4 << 10
)

// newState compiles a configuration that Validate accepts, and reads its keys. The error
// is [toml.Problems].
func newState(cfg Config, rules Rules) (*state, error) {
	st := &state{cfg: cfg, rules: rules, own: newOwnNames(headerNames(cfg))}
	var err error
	if st.origin, err = proof.Open(cfg.Origin); err != nil {
		return nil, err
	}
	st.verp, _ = verp.Compile(cfg.VERP) // Validate has complained
	st.actions = action.New(cfg.Actions)
	st.options = wantActions
	for _, a := range st.actions.All() {
		st.options |= needs[a.Verb]
	}
	st.attributes = cfg.WantsRecipients()
	st.tickets = cfg.Origin.Ticket && st.origin != nil && cfg.Mode == ModeTag
	st.recipients = cfg.WantsRecipients() || st.actions.NeedsRecipients() || st.tickets
	// By default an inspector reads DefaultLimits().HeaderFields of a header: the
	// decisive fields and the Return-Path on top must be among these.
	st.fields = min(cfg.Limits.MaxHeaderFields, dsn.DefaultLimits().HeaderFields-maxVital-1)
	return st, nil
}

// trusts reports whether a client's headers with our names stay.
func (st *state) trusts(client netip.Addr) bool { return contains(st.cfg.TrustedNetworks, client) }

// contains reports whether an address is in one of the networks.
func contains(networks []netip.Prefix, addr netip.Addr) bool {
	if !addr.IsValid() {
		return false
	}
	for _, p := range networks {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// letsGoAtMAIL reports whether ordinary mail can be accepted at MAIL, by its envelope
// sender alone, because its header is not needed.
func (st *state) letsGoAtMAIL() bool {
	return st.cfg.ForgedHeaders == ForgedKeep && st.cfg.LookAt == LookAtEnvelope
}
