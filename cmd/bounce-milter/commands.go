package main

import "github.com/bounce-milter/bounce-milter/config"

// commands is the table of all commands, in the order of the help page. It is a
// function because help, which is one of them, uses it.
func commands() []*command {
	return []*command{
		{
			name: "serve", flags: []string{"config"},
			does: "run the daemon",
			more: `Without --config it reads ` + config.DefaultPath + ` if that exists, else it runs
on built-in defaults. SIGHUP reloads configuration and rules; if they have mistakes,
the old ones stay in force. SIGTERM lets messages in progress finish; a second SIGTERM
ends the daemon at once.`,
			stays: true, run: runServe,
		},
		{
			name: "classify", flags: []string{"format", "sum", "events", "as", "every-attempt", "config"}, args: "[PATH...]",
			does: "show what bounces and mail logs say",
			more: `A PATH is a message (.eml), an mbox, a Maildir, a mail log, or a folder of these; "-"
or no PATH is standard input. All may be compressed with gzip. What cannot be read, or
is neither message nor log, is skipped, and the exit code is then 1. Of many messages the
table ends in sums; --sum prints these alone, and Ctrl-C those so far. With --format json
each message is one object on one line. With --events each recipient is a record, as the
sinks of events get it; ordinary mail has none.

Logs are those of Postfix, Exim and Sendmail, in files, and from journalctl (-o json is
best); they may be compressed with xz, zstd and bzip2 too. They are recognised by their
lines, unless --as says what they are. Rotated logs are read in the order of their age.
All attempts at one message to one recipient are one row, with the final fate and the
number of attempts; --every-attempt shows each of them. What was delivered at once is
only counted. If time stamps have no zone, set TZ to that of the machine that wrote them.`,
			offers: offerFiles, run: runClassify,
		},
		{
			name: "follow", flags: []string{"config"}, args: "[PATH]",
			does: "count what a mail log says, as it grows",
			more: `PATH is a file, "journal" for systemd's journal, or "-" for standard input; without it,
follow.path of the configuration. Deliveries are counted for Prometheus on follow.listen,
failures are records for the sinks of events, and once an hour a line of the log says
what happened. The place in the log is kept, so that each line is counted once, whether
the log is rotated, truncated or not there yet. SIGHUP reloads the configuration.`,
			offers: offerFiles, stays: true, run: runFollow,
		},
		{
			name: "explain", flags: []string{"format", "remote-mta", "config"}, args: "REPLY|FILE...",
			does: "classify a bare reply, or a message, and say why",
			more: `A REPLY is what a server answered: bounce-milter explain "550 5.7.26 Unauthenticated
email". Words without quotes are joined into one reply. An argument that names an
existing FILE is read as a message or an mbox, and each of its recipients is explained.
"-" reads one reply per line from standard input; a line that begins with { is a JSON
object with reply and, if known, remote_mta, reporting_mta, status and smtp_code. With
--format json each reply and each recipient is one object on one line.`,
			offers: offerFiles, run: runExplain,
		},
		{
			name: "report", flags: []string{"config"}, args: "[PATH...]",
			does: "show what a wrong verdict was made from, without personal data",
			more: `A PATH is a message or a mailbox, as classify takes them. The output is a text for
whoever mends rules: the form of the message, its replies, the verdicts and the rules
that matched, with addresses, hosts, numbers and ids masked, the same one in the same
way each time. Subjects and bodies are not in it. Read it before you send it.`,
			offers: offerFiles, run: runReport,
		},
		{
			name: "rules list", flags: []string{"format", "config"}, args: "[WORD...]",
			does: "list the rules in force",
			more: `With WORDs it lists the rules whose id, reason, provider or file contains each of them.`,
			run:  runRulesList,
		},
		{
			name: "rules show", flags: []string{"format", "config"}, args: "ID",
			does: "show a rule in full, or a reason and its rules",
			more: `ID is the id of a rule or of a reason.`, offers: offerRules, run: runRulesShow,
		},
		{
			name: "rules test", flags: []string{"config"}, args: "[FILE...]",
			does: "test the rules with their examples",
			more: `It checks the built-in rules, those in rules_dir, and each FILE as if it were there:
every rule must decide its own examples, and no rule may be dead, shadowed or a
duplicate; your own notices must be read as their examples say. It prints what it
read, and every problem with file and line; the exit code is then 1. Of rules that
replace built-in ones without saying so it only warns.`,
			offers: offerFiles, run: runRulesTest,
		},
		{
			name: "rules propose", flags: []string{"format", "config"}, args: "[PATH...]",
			does: "propose rules for what no rule understood",
			more: `A PATH is a mail log, or mail, as classify takes them, or a text with one reply on each
line; "-" or no PATH is standard input. Replies that no rule understood are grouped,
with addresses, hosts, numbers and ids masked, the most frequent first. The output is a
file of rules, each with its examples: for each that you want, choose a reason. With
--format json each group is one object on one line.`,
			offers: offerFiles, run: runRulesPropose,
		},
		{
			name: "config check", flags: []string{"config"}, args: "[FILE]",
			does: "check the configuration",
			more: `It prints every problem of the file, of the things on this host that it names, and of
the rules in its rules_dir, each with its line and the mend; the exit code is then 1.
What works but lets others interfere is only a warning: files that others may write,
and trusted networks that anybody may send from; so are rules that replace built-in
ones without saying so.

Without FILE or --config it is ` + config.DefaultPath + ` if that exists, else
the defaults.`,
			offers: offerFiles, run: runConfigCheck,
		},
		{
			name: "config show", flags: []string{"config"}, args: "[FILE]",
			does: "show the effective configuration",
			more: `The output is itself a configuration file. Without FILE or --config it shows
` + config.DefaultPath + ` if that exists, else the defaults.`,
			offers: offerFiles, run: runConfigShow,
		},
		{
			name: "health", flags: []string{"config"},
			does: "ask the running daemon whether it serves mail",
			more: `It asks the page of metrics.listen for /-/ready, which says whether every socket can be
reached. Where there is no such page, or one with a password or of another program, it
begins a session at each milter socket, as a mail server does. The exit code is 1 if the
daemon does not answer well within four seconds. For health checks of containers.`,
			run: runHealth,
		},
		{
			name: "doctor", flags: []string{"send", "format", "config"},
			does: "say what is wrong on this machine, and what mends it",
			more: `It looks at the configuration, the rules, the daemon, its sockets, the clock, and at
Postfix or Sendmail: is the daemon asked, at the right place of the list, does mail pass
while it is down, and can the mail server reach it? It changes nothing, and prints the
commands that mend what is wrong; the exit code is then 1. As root it connects as the
mail server would: as its user, in its chroot. Of several Postfix it looks at the one
that MAIL_CONFIG names, as postconf does.

With --send root sends a bounce through Postfix and sees its headers: the daemon knows
it, and refuses it with these, so nothing is delivered or counted. Where that cannot be
done it says why, and asks the daemon in the mail server's place; the daemon may count
that, as a bounce of nobody@doctor.invalid. With --format json each finding is one object
on one line. The exit code is 1 if something is wrong.`,
			run: runDoctor,
		},
		{
			name: "ticket keygen", flags: []string{"append"},
			does: "make a key for tickets",
			more: `It prints a line for the key file: a name that begins with the date, and the key. With
--append it adds the line to FILE, which it creates for its owner alone. The first key
of a file signs, all verify. To replace a key, add a new one, give the file to every
server, and then move the new line to the top; take the old one out when the last
ticket of it is older than max_age.`,
			run: runTicketKeygen,
		},
		{
			name: "ticket verp", flags: []string{"key-file"}, args: "[ADDRESS]",
			does: "print how to compute the MAC of a VERP address",
			more: `ADDRESS is an address to which bounces shall come back, with {mac} where the MAC goes.
The output says what the MAC is computed from, and has code for a shell and for Python.
With --key-file it has the MAC of ADDRESS too.`,
			run: runTicketVERP,
		},
		{
			name: "completion", args: "bash|zsh|fish",
			does: "print the completion script for a shell",
			more: `make install puts it where each shell looks. To use it in this session only:

  bash   source <(bounce-milter completion bash)
  zsh    source <(bounce-milter completion zsh)
  fish   bounce-milter completion fish | source`,
			offers: offerShells, run: runCompletion,
		},
		{
			name: candidatesName, args: "WORD...", hidden: true,
			does: "print what may come next, for the completion scripts", run: runCandidates,
		},
		{
			name: "version",
			does: "print the versions of the program and of its rules",
			run:  runVersion,
		},
		{
			name: "help", args: "[COMMAND]",
			does: "describe a command", offers: offerCommands, run: runHelp,
		},
	}
}
