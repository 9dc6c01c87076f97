package config

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/event/stream"
	"github.com/bounce-milter/bounce-milter/milter"
)

// key is one setting of the file.
type key struct {
	name string // with its table: "limits.max_memory"
	doc  string // what it means; Show prints it above the key
	bind func(*Config) value
}

// local returns the name of the key below the heading of its table: of a table [[name]]
// it may have a table before it, as in "match.type".
func (k key) local() string {
	if _, name, ok := strings.Cut(k.name, "]."); ok {
		return name
	}
	_, name := k.table()
	return name
}

// table returns the name of the key's table, "" for the top level, and the key
// within it.
func (k key) table() (table, name string) {
	return cutLast(k.name)
}

// cutLast splits a name at its last "."; above is "" if there is none.
func cutLast(name string) (above, last string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// table is one [table] of the file; "" is what stands above the first.
type table struct {
	name, doc string
	many      many   // set if it is a table [[name]]
	inner     string // the name of a table within that one, if it is such a one
}

// tables are the tables of the file in order, with what each is about.
var tables = []table{
	{name: ""},
	{name: "metrics", doc: "Prometheus metrics at /metrics, and a status page at /."},
	{name: "log", doc: "The log goes to standard error, where systemd's journal takes it."},
	{name: "limits", doc: `Bounds on what strangers' mail may cost. Sizes are octets, or "KiB", "MiB", "GiB".
A message over a limit is delivered like any other; it is judged by what was read of it.`},
	{name: "verp", doc: `The forms of your bounce addresses, if your sender makes one for each recipient (VERP).
Then a bounce's address says which recipient it is about, whatever its text says. It is no
proof: strangers can make up such an address, unless it has a {mac} in it.`},
	{name: "origin", doc: `Is the mail that bounces return yours? Without domains nobody checks. docs/origin.md says
what is proved, and how to turn it on in three steps.`},
	{name: "origin.dkim", doc: `A key with which your domains sign their mail: its signature in what came back is a proof.`, many: dkims},
	{name: "events", doc: `Records of all verdicts for files and programs, one JSON object per recipient.
Without a sink there are no records.`},
	{name: "events.sink", doc: `Where records go. Each sink gets all of them, in order, at its own pace.`, many: sinks},
	{name: "follow", doc: `What bounce-milter follow reads: the log of a mail server, as it grows. docs/log.md.`},
	{name: "action", doc: `What else is done with messages, beside tagging them. The first action that matches is
taken. Your mail server may do the same by our headers: docs/routing.md compares both.`, many: actions},
}

// keys are all keys, in the order in which Show prints them.
var keys = []key{
	{"listen", `Milter sockets, as Postfix, Sendmail and OpenDKIM users spell them:
"inet:PORT@HOST", "inet:HOST:PORT", "inet6:PORT@HOST", "unix:/PATH", "local:/PATH",
"/PATH", or "systemd" for socket activation. Ports 8891 and 8893 are OpenDKIM's and
OpenDMARC's.`,
		func(c *Config) value { return sockets{&c.Milter.Listen} }},
	{"socket_mode", `Mode of the unix sockets above. The MTA needs to read and write.`,
		func(c *Config) value { return fileMode{&c.Milter.SocketMode} }},
	{"socket_group", `Group of the unix sockets above, such as "postfix"; "" is the daemon's own group.`,
		func(c *Config) value { return word{&c.Milter.SocketGroup, "postfix"} }},
	{"user", `User that a daemon started as root becomes before it opens any socket; "" keeps the
user who started it. Under systemd, User= in the unit is the better way.`,
		func(c *Config) value { return word{&c.User, "bounce-milter"} }},
	{"mode", `"tag" adds headers to bounces; "observe" only counts and logs, and changes nothing.`,
		func(c *Config) value { return choice[milter.Mode]{&c.Milter.Mode, milter.Modes} }},
	{"header_prefix", `What the names of our headers begin with; it must begin with "X-".`,
		func(c *Config) value { return word{&c.Milter.HeaderPrefix, "X-Bounce-"} }},
	{"forged_headers", `Headers from outside that have our names: "remove" removes them from every message
that passes through the daemon; "keep" leaves them, which is better if the MTA itself
removes them, even while the daemon is down (Postfix: strip_bounce_headers.regexp).`,
		func(c *Config) value { return choice[milter.Forged]{&c.Milter.ForgedHeaders, milter.Forgeds} }},
	{"trusted_networks", `Upstream relays that also run bounce-milter: their X-Bounce- headers stay.
Networks or addresses, such as ["192.0.2.0/24", "2001:db8::25"].`,
		func(c *Config) value { return networks{&c.Milter.TrustedNetworks} }},
	{"look_at", `How to tell messages that are worth reading from ordinary mail. "header" goes by the
envelope sender and the header; "envelope" by the envelope sender alone (a null sender,
or MAILER-DAEMON). "envelope" misses complaints, Amazon's notifications and other
reports from ordinary senders, but with forged_headers = "keep" the header of ordinary
mail is never sent to the daemon.`,
		func(c *Config) value { return choice[milter.LookAt]{&c.Milter.LookAt, milter.LookAts} }},
	{"rules_dir", `Folder of your own rules (*.toml), which take precedence over the built-in ones.
"" means none. The default folder need not exist; any other must.`,
		func(c *Config) value { return folder{&c.RulesDir, DefaultRulesDir} }},
	{"drain_timeout", `How long after SIGTERM the daemon waits for messages in progress, at most.`,
		func(c *Config) value { return duration{&c.Milter.DrainTimeout} }},

	{"metrics.listen", `"HOST:PORT", "unix:/PATH", "systemd", or "" for none.`,
		func(c *Config) value { return metricsSocket{&c.Milter.Metrics} }},
	{"metrics.web_config", `File with certificates and passwords for this listener, in the form of Prometheus's
exporter-toolkit: TLS, client certificates, basic authentication. "" is plain HTTP.`,
		func(c *Config) value { return folder{&c.Milter.Web.ConfigFile, "/etc/bounce-milter/web.yml"} }},
	{"metrics.hosts", `Names by which a loopback listener may be asked, beside localhost, loopback addresses and
the host in listen. A request with any other name is refused, because a web page may have
made it up to read these pages (DNS rebinding). The name of a proxy in front belongs here.`,
		func(c *Config) value { return words{&c.Milter.Web.Hosts, "metrics.example.org"} }},
	{"metrics.rule_matches", `Whether bounce_milter_rule_matches_total counts which rules match. Each rule that has
matched is a series; there are more than a thousand rules.`,
		func(c *Config) value { return boolean{&c.Milter.RuleMatches} }},
	{"metrics.state_file", `File of the daemon's own, in which the status page keeps its numbers over a restart. With
"" it starts empty.`,
		func(c *Config) value { return folder{&c.StateFile, "/var/lib/bounce-milter/page.state"} }},

	{"log.level", `"debug", "info", "warn" or "error".`,
		func(c *Config) value { return level{&c.Log.Level} }},
	{"log.format", `"text" or "json".`,
		func(c *Config) value { return choice[string]{&c.Log.Format, logFormats} }},
	{"log.addresses", `How much of people's addresses the log contains: "full"; "domain", as in @example.org;
or "none". bounce-milter(8) says what else a line has.`,
		func(c *Config) value {
			return choice[milter.LogAddresses]{&c.Milter.LogAddresses, milter.LogAddressChoices}
		}},

	{"limits.max_octets", `Octets read of one message, header included.`,
		func(c *Config) value { return size[int]{&c.Milter.Limits.Report.Octets} }},
	{"limits.max_work", `Work on one message, in units of about ten nanoseconds: examining an octet closely
costs one unit. When it is spent, the message is judged by what was read by then,
but never as "hard". Bounces of real programs need a third of the default at most.
If you raise max_octets, raise this in proportion.`,
		func(c *Config) value { return count{&c.Milter.Limits.Report.Work} }},
	{"limits.max_memory", `Memory that all messages in progress may hold together. As it fills up, less of
each message is read; none is refused.`,
		func(c *Config) value { return size[int64]{&c.Milter.Limits.MaxMemory} }},
	{"limits.max_sessions", `Connections from MTAs at a time. Beyond them a new connection is closed at once,
unless a session without a client can make room.`,
		func(c *Config) value { return count{&c.Milter.Limits.MaxSessions} }},
	{"limits.max_header_octets", `Octets kept of a message's header.`,
		func(c *Config) value { return size[int]{&c.Milter.Limits.MaxHeaderOctets} }},
	{"limits.max_header_fields", `Fields kept of a message's header.`,
		func(c *Config) value { return count{&c.Milter.Limits.MaxHeaderFields} }},
	{"limits.max_mime_depth", `Nesting depth of MIME parts.`,
		func(c *Config) value { return count{&c.Milter.Limits.Report.Depth} }},
	{"limits.max_mime_parts", `MIME parts of one message.`,
		func(c *Config) value { return count{&c.Milter.Limits.Report.Parts} }},
	{"limits.max_report_fields", `Fields read in the header of a MIME part, or about one recipient of a report.`,
		func(c *Config) value { return count{&c.Milter.Limits.Report.HeaderFields} }},
	{"limits.max_field_octets", `Octets read of one field, folds included.`,
		func(c *Config) value { return size[int]{&c.Milter.Limits.Report.FieldLength} }},
	{"limits.max_recipients", `Recipients read in one report.`,
		func(c *Config) value { return count{&c.Milter.Limits.Report.Recipients} }},
	{"limits.negotiate_timeout", `Time in which a new connection must begin to speak the milter protocol.`,
		func(c *Config) value { return duration{&c.Milter.Limits.NegotiateTimeout} }},
	{"limits.idle_timeout", `Silence allowed between commands, while the MTA waits for its own client;
Sendmail waits up to an hour.`,
		func(c *Config) value { return duration{&c.Milter.Limits.IdleTimeout} }},
	{"limits.frame_timeout", `Time that one command may take from its first octet to its last. Before a message's
header Postfix may send a command in pieces, so one pause within it may last
idle_timeout there.`,
		func(c *Config) value { return duration{&c.Milter.Limits.FrameTimeout} }},
	{"limits.write_timeout", `Time that writing a reply may take when the MTA does not read.`,
		func(c *Config) value { return duration{&c.Milter.Limits.WriteTimeout} }},

	{"verp.patterns", `Such as ["bounces+{local}={domain}@lists.example.org"]. {local} and {domain} are the
address that the sender wrote to; {token} is a word of your own for it, which records
contain; {mac} is a MAC by a key of origin.key_file; {list} is skipped. No address may
match two patterns, or one pattern in two ways.`,
		func(c *Config) value { return words{&c.Milter.VERP, "bounces+{local}={domain}@lists.example.org"} }},

	{"origin.domains", `The domains of your senders, as they stand behind the "@" of envelope senders and in From.`,
		func(c *Config) value { return words{&c.Milter.Origin.Domains, "example.org"} }},
	{"origin.networks", `Clients whose mail is yours, beside authenticated ones, such as ["192.0.2.0/24"].`,
		func(c *Config) value { return networks{&c.Milter.Origin.Networks} }},
	{"origin.hosts", `Names of your mail servers that are not in those domains. Mail that names one of them in
its header is never called foreign.`,
		func(c *Config) value { return words{&c.Milter.Origin.Hosts, "mx1.example.net"} }},
	{"origin.ticket", `Whether your mail gets a ticket when it goes out: a header field X-Bounce-Ticket that only
the holder of the key can make, and by which what comes back is recognised.`,
		func(c *Config) value { return boolean{&c.Milter.Origin.Ticket} }},
	{"origin.key_file", `File with the keys of tickets and of {mac} in VERP addresses, one per line: the first signs,
all verify. "bounce-milter ticket keygen" makes them. Only the daemon's user may read it.`,
		func(c *Config) value {
			return folder{&c.Milter.Origin.KeyFile, "/etc/bounce-milter/ticket.keys"}
		}},
	{"origin.max_age", `How long a ticket or a signature is valid.`,
		func(c *Config) value { return duration{&c.Milter.Origin.MaxAge} }},
	{"origin.max_bound", `Up to how many recipients a ticket names. With more, it proves only whose the mail is.`,
		func(c *Config) value { return count{&c.Milter.Origin.MaxBound} }},
	{"origin.ticket_since", `The first whole day (UTC) on which all of your mail had a ticket, from every server of
yours, as in "2026-12-01". From max_age after it, mail that comes back whole and without a
ticket is foreign. "" means that some of your mail has none.`,
		func(c *Config) value { return day{&c.Milter.Origin.TicketSince} }},

	{"events.spool", `The daemon's own folder, in which records wait until every sink has them. With ""
they wait in memory, and a restart loses them.`,
		func(c *Config) value { return folder{&c.Events.Spool, "/var/lib/bounce-milter/spool"} }},
	{"events.spool_max", `Octets that the spool may hold. Over it the oldest records are dropped.`,
		func(c *Config) value { return size[int64]{&c.Events.SpoolMax} }},
	{"events.sync", `When records are forced to disk, in case of a power cut: "never" leaves it to the kernel,
"interval" does it once a second, "always" before the mail is accepted. In each case the
kernel has the records before the mail is accepted, so none is lost if the daemon ends.`,
		func(c *Config) value { return choice[stream.Sync]{&c.Events.Sync, stream.Syncs} }},
	{"events.returned_headers", `Fields of the returned message to put into records, in addition to List-Id,
Feedback-ID, X-Campaign-ID, X-Listmonk-Campaign and X-Listmonk-Subscriber.`,
		func(c *Config) value { return words{&c.Events.ReturnedHeaders, "X-Mailing-ID"} }},

	{"follow.path", `The log: a file, "journal" for systemd's journal, or "-" for standard input.`,
		func(c *Config) value { return word{&c.Follow.Path, "/var/log/mail.log"} }},
	{"follow.listen", `Where deliveries are counted for Prometheus, as for metrics.listen; web_config and hosts
there hold here too.`,
		func(c *Config) value { return metricsSocket{&c.Follow.Listen} }},
	{"follow.state_file", `File in which the place in the log is kept, with the counts up to it. With "" it is
follow.state in the folder that systemd gives a unit with StateDirectory=, else nowhere: then
a restart begins at the end of the log.`,
		func(c *Config) value { return folder{&c.Follow.StateFile, "/var/lib/bounce-milter/follow.state"} }},
}
