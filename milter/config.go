package milter

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"time"
)

// Mode says whether messages are changed.
type Mode string

// The modes.
const (
	ModeTag     Mode = "tag"     // insert headers, remove forged ones
	ModeObserve Mode = "observe" // count and log, change nothing
)

// Forged says what becomes of our headers on mail from outside.
type Forged string

// What becomes of forged headers.
const (
	// ForgedRemove looks at the header of all mail and takes ours out.
	ForgedRemove Forged = "remove"
	// ForgedKeep leaves them: for an MTA that strips them itself.
	ForgedKeep Forged = "keep"
)

// LookAt says by what the messages that are inspected are told from ordinary mail.
type LookAt string

// What is looked at.
const (
	// LookAtHeader looks at the sender and at every header, by [dsn.Gate].
	LookAtHeader LookAt = "header"
	// LookAtEnvelope looks at the sender alone. With [ForgedKeep] it lets
	// ordinary mail go at MAIL.
	LookAtEnvelope LookAt = "envelope"
)

// Socket is one address to listen on.
type Socket struct {
	// Network is "tcp", "tcp4", "tcp6", "unix", or "systemd" for a socket
	// that systemd hands over.
	Network string
	// Address is host:port or a path. For "systemd" it is the socket's
	// FileDescriptorName; empty stands for every socket of that kind: for
	// the milter all that are not called "metrics", for metrics those that are.
	Address string
}

// String spells the socket as Postfix and Sendmail users do.
func (s Socket) String() string {
	switch {
	case s.Network == "systemd" && s.Address == "":
		return "systemd"
	case strings.HasPrefix(s.Network, "tcp"):
		return "inet:" + s.Address
	default:
		return s.Network + ":" + s.Address
	}
}

// Limits bound what strangers may cost. A zero field means its default.
type Limits struct {
	// MessageOctets is how much of one message is kept and inspected,
	// header included; the rest is skipped.
	MessageOctets int
	// MemoryOctets bounds what all messages in progress hold together. As
	// it fills up, each message is inspected by less; none is refused.
	MemoryOctets int64
	// HeaderOctets and HeaderFields bound what is kept of one message's
	// header; of fields no more than an inspector reads. Forged headers, and
	// a few fields that say what a message is, are found beyond them too.
	HeaderOctets, HeaderFields int
	// Sessions bounds open connections. One more is closed at once.
	Sessions int
	// NegotiateTimeout is the time a new connection has to speak milter.
	NegotiateTimeout time.Duration
	// IdleTimeout is how long a session may stay silent between commands.
	// An MTA waits there for its own client, up to an hour with Sendmail.
	IdleTimeout time.Duration
	// FrameTimeout is the time one command has from its first octet to its last.
	FrameTimeout time.Duration
	// WriteTimeout is how long a reply may wait for a peer that does not read.
	WriteTimeout time.Duration
}

// DefaultLimits are the limits of a configuration that names none.
var DefaultLimits = Limits{
	MessageOctets:    256 << 10,
	MemoryOctets:     64 << 20,
	HeaderOctets:     128 << 10,
	HeaderFields:     1000,
	Sessions:         2000,
	NegotiateTimeout: 10 * time.Second,
	IdleTimeout:      7210 * time.Second, // libmilter's own
	FrameTimeout:     30 * time.Second,
	WriteTimeout:     30 * time.Second,
}

// WithDefaults returns l with every zero field set to its default.
func (l Limits) WithDefaults() Limits {
	d := DefaultLimits
	orDefault(&l.MessageOctets, d.MessageOctets)
	orDefault(&l.MemoryOctets, d.MemoryOctets)
	orDefault(&l.HeaderOctets, d.HeaderOctets)
	orDefault(&l.HeaderFields, d.HeaderFields)
	orDefault(&l.Sessions, d.Sessions)
	orDefault(&l.NegotiateTimeout, d.NegotiateTimeout)
	orDefault(&l.IdleTimeout, d.IdleTimeout)
	orDefault(&l.FrameTimeout, d.FrameTimeout)
	orDefault(&l.WriteTimeout, d.WriteTimeout)
	return l
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Config is what the daemon does. The zero Config lacks a socket; start from
// [DefaultConfig].
type Config struct {
	Listen []Socket
	// SocketMode and SocketGroup are given to unix sockets before they can
	// be reached. An empty group leaves that of the process.
	SocketMode  fs.FileMode
	SocketGroup string

	Mode            Mode
	HeaderPrefix    string // "X-Bounce-"
	ForgedHeaders   Forged
	TrustedNetworks []netip.Prefix // clients whose headers with our prefix stay

	LookAt LookAt

	// Metrics is where metrics and the status page are served; nil is nowhere.
	Metrics *Socket

	// DrainTimeout is how long Serve goes on until no message is in progress,
	// when it is to end.
	DrainTimeout time.Duration

	Limits Limits
}

// DefaultConfig returns what runs without a configuration file.
func DefaultConfig() Config {
	return Config{
		Listen:        []Socket{{Network: "tcp", Address: "127.0.0.1:8894"}},
		SocketMode:    0o660,
		Mode:          ModeTag,
		HeaderPrefix:  "X-Bounce-",
		ForgedHeaders: ForgedRemove,
		LookAt:        LookAtHeader,
		Metrics:       &Socket{Network: "tcp", Address: "127.0.0.1:9894"},
		DrainTimeout:  5 * time.Second,
		Limits:        DefaultLimits,
	}
}

// Validate reports everything that is wrong with c, joined.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if len(c.Listen) == 0 {
		bad("listen: no socket to listen on")
	}
	seen := map[Socket]bool{}
	check := func(key string, s Socket) {
		switch s.Network {
		case "tcp", "tcp4", "tcp6", "unix":
			if s.Address == "" {
				bad("%s: a %s socket without an address", key, s.Network)
			}
		case "systemd":
		default:
			bad("%s: unknown kind of socket %q", key, s.Network)
		}
		if seen[s] {
			bad("%s: %s is named twice", key, s)
		}
		seen[s] = true
	}
	for _, s := range c.Listen {
		check("listen", s)
	}
	if c.Metrics != nil && c.Metrics.Network != "systemd" {
		check("metrics.listen", *c.Metrics)
	}
	if c.SocketMode&^fs.ModePerm != 0 {
		bad("socket_mode: %#o is no file mode", uint32(c.SocketMode))
	}
	if c.Mode != ModeTag && c.Mode != ModeObserve {
		bad("mode: %q is neither tag nor observe", c.Mode)
	}
	if c.ForgedHeaders != ForgedRemove && c.ForgedHeaders != ForgedKeep {
		bad("forged_headers: %q is neither remove nor keep", c.ForgedHeaders)
	}
	if c.LookAt != LookAtHeader && c.LookAt != LookAtEnvelope {
		bad("look_at: %q is neither header nor envelope", c.LookAt)
	}
	if err := checkPrefix(c.HeaderPrefix); err != nil {
		errs = append(errs, fmt.Errorf("header_prefix: %w", err))
	}
	for _, p := range c.TrustedNetworks {
		if !p.IsValid() {
			bad("trusted_networks: %s is no network", p)
		}
	}
	if c.DrainTimeout < 0 {
		bad("drain_timeout: %s is negative", c.DrainTimeout)
	}
	l := c.Limits
	for _, v := range []struct {
		key  string
		n, m int64 // value and the least that works; zero means the default
	}{
		{"message_octets", int64(l.MessageOctets), 4 << 10},
		{"memory_octets", l.MemoryOctets, 1 << 20},
		{"header_octets", int64(l.HeaderOctets), 1 << 10},
		{"header_fields", int64(l.HeaderFields), 1},
		{"sessions", int64(l.Sessions), 1},
		{"negotiate_timeout", int64(l.NegotiateTimeout), int64(time.Millisecond)},
		{"idle_timeout", int64(l.IdleTimeout), int64(time.Millisecond)},
		{"frame_timeout", int64(l.FrameTimeout), int64(time.Millisecond)},
		{"write_timeout", int64(l.WriteTimeout), int64(time.Millisecond)},
	} {
		if v.n != 0 && v.n < v.m {
			bad("limits.%s: %d is below %d", v.key, v.n, v.m)
		}
	}
	return errors.Join(errs...)
}

// checkPrefix wants the beginning of a header name (RFC 5322 section 2.2)
// that leaves room in a line and takes away no header that mail needs.
func checkPrefix(p string) error {
	if len(p) < 3 || len(p) > 64 {
		return fmt.Errorf("%q is not between 3 and 64 octets long", p)
	}
	for i := 0; i < len(p); i++ {
		if p[i] <= ' ' || p[i] >= 0x7f || p[i] == ':' {
			return fmt.Errorf("%q has octets that no header name may have", p)
		}
	}
	if !strings.HasPrefix(strings.ToLower(p), "x-") {
		return fmt.Errorf("%q does not begin with X-", p)
	}
	return nil
}
