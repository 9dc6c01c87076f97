package milter

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/proof"
	"github.com/bounce-milter/bounce-milter/internal/toml"
	"github.com/bounce-milter/bounce-milter/internal/verp"
	"github.com/bounce-milter/bounce-milter/internal/web"
)

// Mode says whether messages are changed.
type Mode string

// The modes.
const (
	ModeTag     Mode = "tag"     // insert headers, remove forged ones
	ModeObserve Mode = "observe" // count and log, change nothing
)

// Modes are all modes.
var Modes = []Mode{ModeTag, ModeObserve}

// Forged says what to do with forged headers: our names on mail from outside.
type Forged string

// The choices for forged headers.
const (
	// ForgedRemove reads the header of all mail and removes ours.
	ForgedRemove Forged = "remove"
	// ForgedKeep leaves them: for an MTA that removes them itself.
	ForgedKeep Forged = "keep"
)

// Forgeds are all choices for forged headers.
var Forgeds = []Forged{ForgedRemove, ForgedKeep}

// LookAt says what decides whether a message is inspected or is ordinary mail.
type LookAt string

// The choices for LookAt.
const (
	// LookAtHeader goes by the envelope sender and the header; see [dsn.Gate].
	LookAtHeader LookAt = "header"
	// LookAtEnvelope goes by the envelope sender alone. With [ForgedKeep],
	// ordinary mail is accepted at MAIL.
	LookAtEnvelope LookAt = "envelope"
)

// LookAts are all choices for LookAt.
var LookAts = []LookAt{LookAtHeader, LookAtEnvelope}

// Limits bound what strangers' mail may cost.
type Limits struct {
	// Report bounds the reading of one message. Its Octets are how much of a
	// message is kept and inspected, header included; the rest is skipped.
	Report dsn.Limits
	// MaxMemory bounds the octets that all messages in progress hold together.
	// As it fills up, less is kept of each message; none is refused.
	MaxMemory int64
	// MaxHeaderOctets and MaxHeaderFields bound what is kept of one message's
	// header. Forged headers, and a few fields that say what a message is, are
	// found even beyond these bounds.
	MaxHeaderOctets, MaxHeaderFields int
	// MaxSessions bounds open connections. Beyond it a new one is closed at
	// once, unless a session without a client can make room.
	MaxSessions int
	// NegotiateTimeout is the time in which a new connection must begin to
	// speak the milter protocol.
	NegotiateTimeout time.Duration
	// IdleTimeout is how long a session may stay silent between commands.
	// An MTA waits there for its own client, up to an hour with Sendmail.
	IdleTimeout time.Duration
	// FrameTimeout is the time that one command may take from its first octet
	// to its last.
	FrameTimeout time.Duration
	// WriteTimeout is the time that writing a reply may take when the peer
	// does not read.
	WriteTimeout time.Duration
}

// Config is what the daemon does. Start from [DefaultConfig].
type Config struct {
	Listen []Socket
	// SocketMode and SocketGroup are set on unix sockets before anybody can
	// connect. With an empty group they keep that of the process.
	SocketMode  fs.FileMode
	SocketGroup string

	Mode            Mode
	HeaderPrefix    string // "X-Bounce-"
	ForgedHeaders   Forged
	TrustedNetworks []netip.Prefix // clients whose headers with our prefix stay

	LookAt LookAt

	// VERP are patterns of the addresses to which bounces come back, such as
	// bounces+{local}={domain}@lists.example.org (package verp). If there are any, the
	// recipients of envelopes are asked for.
	VERP []string

	// Origin says what is ours, so that the mail that bounces return can be recognised.
	Origin proof.Options

	// Events says that records are wanted: the envelope recipients of messages
	// are asked for, and what messages report is handed to the [Recorder].
	Events bool

	// Actions say what else is done with messages, the first that matches. In
	// [ModeObserve] they are only counted.
	Actions []action.Options

	// Metrics is where metrics and the status page are served; the zero Socket
	// turns both off.
	Metrics Socket

	// Web says who may ask there, and by which names.
	Web web.Options

	// RuleMatches says whether to count which rules match; each that does is a
	// series.
	RuleMatches bool

	LogAddresses LogAddresses

	// DrainTimeout is how long Serve, when it is told to end, waits at most
	// until no message is in progress.
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
		Origin:        proof.DefaultOptions(),
		Metrics:       Socket{Network: "tcp", Address: "127.0.0.1:9894"},
		RuleMatches:   true,
		LogAddresses:  LogFull,
		DrainTimeout:  5 * time.Second,
		Limits: Limits{
			Report:           dsn.DefaultLimits(),
			MaxMemory:        64 << 20,
			MaxHeaderOctets:  128 << 10,
			MaxHeaderFields:  1000,
			MaxSessions:      2000,
			NegotiateTimeout: 10 * time.Second,
			IdleTimeout:      7210 * time.Second, // libmilter's own
			FrameTimeout:     30 * time.Second,
			WriteTimeout:     30 * time.Second,
		},
	}
}

// WantsRecipients reports whether the recipients of envelopes say whom reports are about,
// or go into records. The MTA is asked for them then, or if an action needs them.
func (c *Config) WantsRecipients() bool { return c.Events || len(c.VERP) > 0 }

// Validate returns everything that is wrong with c. The keys are those of the
// configuration file.
func (c *Config) Validate() toml.Problems {
	var ps toml.Problems
	c.checkSockets(&ps)
	if c.SocketMode&^fs.ModePerm != 0 {
		ps.Add("socket_mode", `"%04o" is not a file mode: write nine bits, as in "0660"`, uint32(c.SocketMode))
	}
	checkWord(&ps, "mode", "a mode", c.Mode, Modes)
	checkWord(&ps, "forged_headers", "a choice here", c.ForgedHeaders, Forgeds)
	checkWord(&ps, "look_at", "a choice here", c.LookAt, LookAts)
	if err := checkPrefix(c.HeaderPrefix); err != nil {
		ps.Add("header_prefix", "%q %v", c.HeaderPrefix, err)
	}
	checkWord(&ps, "log.addresses", "a choice here", c.LogAddresses, LogAddressChoices)
	checkTime(&ps, "drain_timeout", c.DrainTimeout, 0, time.Hour)
	for i, host := range c.Web.Hosts {
		if host == "" || strings.ContainsAny(host, "/@ *") || strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
			ps.Add(fmt.Sprintf("metrics.hosts[%d]", i), `%q is not the name of a host: write one without scheme and port, as in "metrics.example.org"`, host)
		}
	}
	_, problems := verp.Compile(c.VERP)
	for _, p := range problems {
		ps.Add(fmt.Sprintf("verp.patterns[%d]", p.Pattern), "%v", p.Err)
	}
	c.Limits.check(&ps)
	ps = append(ps, c.Origin.Validate()...)
	return append(ps, action.Validate(c.Actions, c.HeaderPrefix)...)
}

func (c *Config) checkSockets(ps *toml.Problems) {
	if len(c.Listen) == 0 {
		ps.Add("listen", "is empty: name a socket, or remove the key to use %s", toml.QuoteList(DefaultConfig().Listen))
	}
	check := func(key string, s Socket) {
		if !slices.Contains([]string{"tcp", "tcp4", "tcp6", "unix", Systemd}, s.Network) {
			ps.Add(key, `%q is an unknown kind of socket: write "tcp", "unix" or "systemd"`, s.Network)
		} else if s.Address == "" && s.Network != Systemd {
			ps.Add(key, "a %s socket needs an address: add one", s.Network)
		}
	}
	at := func(s Socket) string { return s.Network[:min(1, len(s.Network))] + s.Address }
	seen := map[string]bool{}
	for i, s := range c.Listen {
		key := fmt.Sprintf("listen[%d]", i)
		check(key, s)
		if seen[at(s)] {
			ps.Add(key, "%q is listed twice: remove one", s)
		}
		seen[at(s)] = true
	}
	if c.Metrics != (Socket{}) {
		check("metrics.listen", c.Metrics)
		if seen[at(c.Metrics)] && c.Metrics.Network != Systemd {
			ps.Add("metrics.listen", "%q is in listen too: name another socket", c.Metrics)
		}
	}
}

func (l *Limits) check(ps *toml.Problems) {
	checkSize(ps, "limits.max_octets", int64(l.Report.Octets), 4*toml.KiB, 64*toml.MiB)
	checkCount(ps, "limits.max_work", l.Report.Work, 100_000, 1_000_000_000)
	checkSize(ps, "limits.max_memory", l.MaxMemory, toml.MiB, 64*toml.GiB)
	checkCount(ps, "limits.max_sessions", l.MaxSessions, 1, 1_000_000)
	checkSize(ps, "limits.max_header_octets", int64(l.MaxHeaderOctets), toml.KiB, 16*toml.MiB)
	checkCount(ps, "limits.max_header_fields", l.MaxHeaderFields, 1, 100_000)
	checkCount(ps, "limits.max_mime_depth", l.Report.Depth, 1, 100)
	checkCount(ps, "limits.max_mime_parts", l.Report.Parts, 1, 10_000)
	checkCount(ps, "limits.max_report_fields", l.Report.HeaderFields, 1, 100_000)
	checkSize(ps, "limits.max_field_octets", int64(l.Report.FieldLength), 256, toml.MiB)
	checkCount(ps, "limits.max_recipients", l.Report.Recipients, 1, 1_000_000)
	checkTime(ps, "limits.negotiate_timeout", l.NegotiateTimeout, time.Millisecond, time.Hour)
	checkTime(ps, "limits.idle_timeout", l.IdleTimeout, time.Millisecond, 24*time.Hour)
	checkTime(ps, "limits.frame_timeout", l.FrameTimeout, time.Millisecond, time.Hour)
	checkTime(ps, "limits.write_timeout", l.WriteTimeout, time.Millisecond, time.Hour)
}

func checkWord[T ~string](ps *toml.Problems, key, what string, word T, all []T) {
	if !slices.Contains(all, word) {
		ps.Add(key, "%q is not %s: write %s", word, what, toml.OneOf(all))
	}
}

func checkCount(ps *toml.Problems, key string, n, lowest, highest int) {
	if n < lowest || n > highest {
		ps.Add(key, "%d is out of bounds: write a number from %d to %d", n, lowest, highest)
	}
}

func checkSize(ps *toml.Problems, key string, n, lowest, highest int64) {
	if n < lowest || n > highest {
		ps.Add(key, "%s is out of bounds: write a size from %s to %s", toml.Size(n), toml.Size(lowest), toml.Size(highest))
	}
}

func checkTime(ps *toml.Problems, key string, d, lowest, highest time.Duration) {
	if d < lowest || d > highest {
		ps.Add(key, "%s is out of bounds: write a time from %s to %s", toml.Duration(d), toml.Duration(lowest), toml.Duration(highest))
	}
}

// checkPrefix requires the beginning of a header name (RFC 5322 section 2.2) that
// leaves room in a line and does not remove headers that mail needs.
func checkPrefix(p string) error {
	outside := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }
	switch {
	case strings.ContainsFunc(p, outside):
		return errors.New(`has a character that is not allowed in a header name: use letters, digits and "-"`)
	case strings.EqualFold(p, "X-"):
		return errors.New(`could remove a header of somebody else: write a name behind "X-", as in "X-Bounce-"`)
	case len(p) < 3 || !strings.EqualFold(p[:2], "X-"):
		return errors.New(`could remove a header that mail needs: begin it with "X-", as in "X-Bounce-"`)
	case len(p) > 64:
		return fmt.Errorf("is %d octets long: use at most 64", len(p))
	}
	return nil
}

// LookupGroup returns the number of a group by its name or number, -1 for "".
// The error names the mend.
func LookupGroup(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		g, err = user.LookupGroupId(name)
	}
	if err != nil {
		return -1, fmt.Errorf("there is no group %q on this host: create it, or name another", name)
	}
	return strconv.Atoi(g.Gid)
}
