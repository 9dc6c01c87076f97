package milter

import (
	"bytes"
	"context"
	"net/netip"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// Inspector reads and judges one message, without a reference to raw
// afterwards. When ctx ends, it answers soon with what it found by then. It
// must not fail; [classify.Engine] is the one there is.
type Inspector interface {
	Message(ctx context.Context, raw []byte) classify.Result
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
	cfg     Config
	rules   Rules
	senders map[string]bool
	fields  int // of one header, kept for inspection
}

// maxVital is how many of the fields that decide what a message is are kept
// beyond the limits of its header, of at most maxVitalOctets each.
const (
	maxVital       = 16
	maxVitalOctets = 4 << 10
)

func newState(cfg Config, rules Rules) *state {
	cfg.Limits = cfg.Limits.WithDefaults()
	st := &state{cfg: cfg, rules: rules, senders: make(map[string]bool, len(cfg.BounceSenders))}
	// An inspector reads so many fields of a header by default: those that
	// decide must be among them, and the Return-Path on top.
	st.fields = min(cfg.Limits.HeaderFields, dsn.DefaultLimits.HeaderFields-maxVital-1)
	for _, s := range cfg.BounceSenders {
		st.senders[strings.ToLower(s)] = true
	}
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

// isBounceSender reports whether mail from this address is inspected.
func (st *state) isBounceSender(addr string) bool {
	local, _, _ := strings.Cut(addr, "@")
	return len(local) <= 64 && st.senders[strings.ToLower(local)]
}

// suspicious reports whether a header field says that its message may be a
// report although its sender does not.
func (st *state) suspicious(name, value []byte) bool {
	// By length and first letter first: nearly every field ends here.
	switch len(name) {
	case len("From"):
		// QUIRK: forwarders and list software put a sender of their own on
		// other servers' reports; the author stays.
		return bytes.EqualFold(name, []byte("From")) && st.isBounceSender(fromAddress(value))
	case len("Content-Type"):
		return bytes.EqualFold(name, []byte("Content-Type")) && hasPrefixFold(bytes.TrimLeft(value, " \t\r\n"), "multipart/report")
	case len("Auto-Submitted"): // RFC 3834 section 5
		return bytes.EqualFold(name, []byte("Auto-Submitted")) && hasPrefixFold(bytes.TrimLeft(value, " \t\r\n"), "auto-replied")
	case len("X-Failed-Recipients"): // QUIRK: Exim and Gmail
		return bytes.EqualFold(name, []byte("X-Failed-Recipients"))
	}
	return false
}

// vital reports whether a header field decides what a message is or how it is
// read: a report stays one wherever the field stands.
func vital(name []byte) bool {
	for _, v := range [...]string{"Content-Type", "Content-Transfer-Encoding", "MIME-Version", "From", "Auto-Submitted", "X-Failed-Recipients"} {
		if len(name) == len(v) && hasPrefixFold(name, v) {
			return true
		}
	}
	return false
}

// fromAddress returns what is likely the address of a From field: between
// angle brackets, or its first word.
func fromAddress(value []byte) string {
	if i := bytes.LastIndexByte(value, '<'); i >= 0 {
		value = value[i+1:]
		if j := bytes.IndexByte(value, '>'); j >= 0 {
			value = value[:j]
		}
	}
	if f := bytes.Fields(value); len(f) > 0 {
		return string(f[0])
	}
	return ""
}
