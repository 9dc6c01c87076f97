package config

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/milter"
)

// key is one thing the administrator may set.
type key struct {
	name string // with its table: "limits.max_memory"
	doc  string // what it means, printed above it by Show
	bind func(*Config) value
}

// table returns the name of the key's table, "" for the top level, and the key
// within it.
func (k key) table() (table, name string) {
	if t, n, ok := strings.Cut(k.name, "."); ok {
		return t, n
	}
	return "", k.name
}

// table is one [table] of the file; "" is what stands above the first.
type table struct{ name, doc string }

// tables are the tables of the file in order, with what each is about.
var tables = []table{
	{"", ""},
	{"metrics", "Prometheus metrics at /metrics, and a status page at /."},
	{"log", "The log goes to standard error, where systemd's journal takes it."},
	{"limits", `Bounds on what strangers may cost. Sizes are octets, or "KiB", "MiB", "GiB".
A message over a limit is delivered like any other; it is judged by what was seen.`},
}

// keys are all keys, in the order in which Show prints them.
var keys = []key{
	{"listen", `Milter sockets, as Postfix, Sendmail and OpenDKIM users spell them:
"inet:PORT@HOST", "inet:HOST:PORT", "inet6:PORT@HOST", "unix:/PATH", "local:/PATH",
"/PATH", or "systemd" for socket activation. 8891 and 8893 are OpenDKIM's and OpenDMARC's.`,
		func(c *Config) value { return sockets{&c.Milter.Listen} }},
	{"socket_mode", `Mode of the unix sockets above. The MTA needs to read and write.`,
		func(c *Config) value { return fileMode{&c.Milter.SocketMode} }},
	{"socket_group", `Group of the unix sockets above, such as "postfix"; "" leaves that of the daemon.`,
		func(c *Config) value { return word{&c.Milter.SocketGroup, "postfix"} }},
	{"user", `User to become before any socket is opened, of a daemon that is started as root;
"" stays who started it. Under systemd its User= does this better.`,
		func(c *Config) value { return word{&c.User, "bounce-milter"} }},
	{"mode", `"tag" adds headers to bounces; "observe" only counts and logs, and changes nothing.`,
		func(c *Config) value { return choice[milter.Mode]{&c.Milter.Mode, milter.Modes} }},
	{"header_prefix", `What the names of our headers begin with.`,
		func(c *Config) value { return word{&c.Milter.HeaderPrefix, "X-Bounce-"} }},
	{"forged_headers", `Headers by our names that come from outside: "remove" takes them off every
message that comes by here; "keep" leaves them: the better choice where the MTA takes
them off itself, whatever state this daemon is in (Postfix: strip_bounce_headers.regexp).`,
		func(c *Config) value { return choice[milter.Forged]{&c.Milter.ForgedHeaders, milter.Forgeds} }},
	{"trusted_networks", `Upstream relays that run bounce-milter too: their X-Bounce- headers stay.
Networks or addresses, such as ["192.0.2.0/24", "2001:db8::25"].`,
		func(c *Config) value { return networks{&c.Milter.TrustedNetworks} }},
	{"look_at", `What tells a message that is worth reading from ordinary mail: "header" is its
sender or its header; "envelope" is its sender alone (none, or MAILER-DAEMON's), which
misses complaints, Amazon's notifications and other reports from ordinary senders, but
with forged_headers = "keep" lets ordinary mail go before its header crosses the wire.`,
		func(c *Config) value { return choice[milter.LookAt]{&c.Milter.LookAt, milter.LookAts} }},
	{"rules_dir", `Folder of your own rules (*.toml), which go before the built-in ones.
"" is none; this folder need not exist, any other must.`,
		func(c *Config) value { return folder{&c.RulesDir} }},
	{"drain_timeout", `How long mail is served after SIGTERM until no message is in progress.`,
		func(c *Config) value { return duration{&c.Milter.DrainTimeout} }},

	{"metrics.listen", `"HOST:PORT", "unix:/PATH", "systemd", or "" for none.`,
		func(c *Config) value { return metricsSocket{&c.Milter.Metrics} }},

	{"log.level", `"debug", "info", "warn" or "error".`,
		func(c *Config) value { return level{&c.Log.Level} }},
	{"log.format", `"text" or "json".`,
		func(c *Config) value { return choice[string]{&c.Log.Format, logFormats} }},

	{"limits.max_octets", `Octets looked at in one message, header included.`,
		func(c *Config) value { return size[int]{&c.Milter.Limits.Report.Octets} }},
	{"limits.max_work", `Work on one message, in units of about ten nanoseconds: an octet that is looked
at with care is one. When it is spent, the message is judged by what was read by
then, and no address is called dead. Bounces of real programs need a third at most.
Whoever raises max_octets should raise it as much.`,
		func(c *Config) value { return count{&c.Milter.Limits.Report.Work} }},
	{"limits.max_memory", `Octets that all messages in progress hold together. As it fills up each
message is looked at less far; none is refused.`,
		func(c *Config) value { return size[int64]{&c.Milter.Limits.MaxMemory} }},
	{"limits.max_sessions", `Connections from MTAs at a time; one more is closed at once.`,
		func(c *Config) value { return count{&c.Milter.Limits.MaxSessions} }},
	{"limits.max_header_octets", `Octets kept of a message's header.`,
		func(c *Config) value { return size[int]{&c.Milter.Limits.MaxHeaderOctets} }},
	{"limits.max_header_fields", `Fields kept of a message's header.`,
		func(c *Config) value { return count{&c.Milter.Limits.MaxHeaderFields} }},
	{"limits.max_mime_depth", `Nesting of MIME parts.`,
		func(c *Config) value { return count{&c.Milter.Limits.Report.Depth} }},
	{"limits.max_mime_parts", `MIME parts of a message in all.`,
		func(c *Config) value { return count{&c.Milter.Limits.Report.Parts} }},
	{"limits.max_report_fields", `Fields read in the header of a MIME part, or about one recipient of a report.`,
		func(c *Config) value { return count{&c.Milter.Limits.Report.HeaderFields} }},
	{"limits.max_field_octets", `Octets read of one field, folds included.`,
		func(c *Config) value { return size[int]{&c.Milter.Limits.Report.FieldLength} }},
	{"limits.max_recipients", `Recipients read in one report.`,
		func(c *Config) value { return count{&c.Milter.Limits.Report.Recipients} }},
	{"limits.negotiate_timeout", `Time that a new connection has to speak the milter protocol.`,
		func(c *Config) value { return duration{&c.Milter.Limits.NegotiateTimeout} }},
	{"limits.idle_timeout", `Silence allowed between commands. An MTA waits there for its own client,
Sendmail up to an hour.`,
		func(c *Config) value { return duration{&c.Milter.Limits.IdleTimeout} }},
	{"limits.frame_timeout", `Time that one command may take from its first octet to its last. Up to a
message's header one pause within is idle_timeout's, for Postfix sends in pieces there.`,
		func(c *Config) value { return duration{&c.Milter.Limits.FrameTimeout} }},
	{"limits.write_timeout", `Time that a reply may wait for an MTA that does not read.`,
		func(c *Config) value { return duration{&c.Milter.Limits.WriteTimeout} }},
}
