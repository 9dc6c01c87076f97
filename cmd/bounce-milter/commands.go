package main

import "github.com/bounce-milter/bounce-milter/config"

// commands is the table of all commands, in the order of the help page. It is a
// function for help is one of them.
func commands() []*command {
	return []*command{
		{
			name: "serve", flags: []string{"config"},
			does: "run the daemon",
			more: `Without --config it reads ` + config.DefaultPath + ` if that exists, else runs on
built-in defaults. SIGHUP reloads configuration and rules; what is bad keeps the old
ones running. SIGTERM lets messages in progress finish; a second one does not.`,
			stays: true, run: runServe,
		},
		{
			name: "classify", flags: []string{"format", "config"}, args: "[PATH...]",
			does: "say what the messages in files, mailboxes and folders report",
			more: `A PATH is a message (.eml), an mbox, a Maildir, or a folder of these; "-" or no
PATH is standard input. What cannot be read is passed over, and the exit code is 1.
With --format json each message is one object.`,
			offers: offerFiles, run: runClassify,
		},
		{
			name: "explain", flags: []string{"format", "remote-mta", "config"}, args: "REPLY|FILE...",
			does: "classify a bare reply, or a message, and say why",
			more: `A REPLY is what a server answered: bounce-milter explain "550 5.7.26 Unauthenticated
email". Without quotes the words are joined into one. An argument that names an existing
FILE is read as a message or an mbox, and each of its recipients is explained. "-" reads
one reply a line from standard input; a line that begins with { is a JSON object with
reply and, if known, remote_mta, reporting_mta, status and smtp_code. With --format json
each reply and each recipient is one object.`,
			offers: offerFiles, run: runExplain,
		},
		{
			name: "rules list", flags: []string{"format", "config"}, args: "[WORD...]",
			does: "list the rules in force",
			more: `With WORDs it lists those whose id, reason, provider or file holds every one of them.`,
			run:  runRulesList,
		},
		{
			name: "rules show", flags: []string{"format", "config"}, args: "ID",
			does: "show a rule whole, or a reason and its rules",
			more: `ID is that of a rule or of a reason.`, offers: offerRules, run: runRulesShow,
		},
		{
			name: "rules test", flags: []string{"config"}, args: "[FILE...]",
			does: "test the rules by their examples",
			more: `It checks the built-in rules, those in rules_dir, and FILEs as if they were there:
every rule has to be reached by its own examples first, and none may be dead, shadowed
or there twice. Exit code 1 with file and line otherwise.`,
			offers: offerFiles, run: runRulesTest,
		},
		{
			name: "config check", flags: []string{"config"}, args: "[FILE]",
			does: "check the configuration",
			more: `It prints every problem of the file, of what it names on this host and of the rules
in its rules_dir, each with its line and the mend; exit code 1 if there is one. What
works but gives others a say is a warning, and good: files that they may write, clients
who are trusted though anybody may be them.

Without FILE or --config it is ` + config.DefaultPath + ` if that exists, else
the defaults.`,
			offers: offerFiles, run: runConfigCheck,
		},
		{
			name: "config show", flags: []string{"config"}, args: "[FILE]",
			does: "show the effective configuration",
			more: `What it prints is a configuration file again. Without FILE or --config it is that of
` + config.DefaultPath + ` if that exists, else the defaults.`,
			offers: offerFiles, run: runConfigShow,
		},
		{
			name: "completion", args: "bash|zsh|fish",
			does: "print what lets a shell complete commands",
			more: `make install puts it where each shell looks. Elsewhere, for this session only:

  bash   source <(bounce-milter completion bash)
  zsh    source <(bounce-milter completion zsh)
  fish   bounce-milter completion fish | source`,
			offers: offerShells, run: runCompletion,
		},
		{
			name: candidatesName, args: "WORD...", hidden: true,
			does: "print what may come next, for the scripts of completion", run: runCandidates,
		},
		{
			name: "version",
			does: "print the version of program and rules",
			run:  runVersion,
		},
		{
			name: "help", args: "[COMMAND]",
			does: "say more about a command", offers: offerCommands, run: runHelp,
		},
	}
}
