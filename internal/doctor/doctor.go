// Package doctor looks at a machine and says what keeps bounce-milter from working, and
// which command mends it. It reads files, asks postconf and connects to sockets; it changes
// nothing. The bounce that it may send is refused.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/internal/toml"
	"github.com/bounce-milter/bounce-milter/internal/trial"
)

// State says how things are.
type State string

// The states.
const (
	Good    State = "good"
	Note    State = "note"    // worth knowing, and perhaps meant
	Warning State = "warning" // it works, but not as well as it could
	Wrong   State = "wrong"   // bounces are not read, or mail may be lost
	Unknown State = "unknown" // it could not be looked at
)

// Finding is one thing that was looked at.
type Finding struct {
	Check string   `json:"check"` // what was looked at: "smtpd_milters", "socket"
	State State    `json:"state"`
	Says  string   `json:"says"`
	Mend  []string `json:"mend,omitempty"` // commands for a shell, in their order
	// Headers are the header fields that a bounce got, as "Name: value".
	Headers []string `json:"headers,omitempty"`
}

// Options say what to look at. The zero value of a field means the usual.
type Options struct {
	Config     string // configuration file
	SendmailCF string // Sendmail's configuration, /etc/mail/sendmail.cf
	Version    string // of this program
	Revision   string // of its source, "" if it is not known
	Built      time.Time
	// Run runs a program and returns what it printed.
	Run func(ctx context.Context, name string, args ...string) ([]byte, error)
	// Send hands a bounce to the daemon, through the mail server if that is possible.
	Send bool
}

// patience bounds every question to another program. A busy mail server may answer late.
const patience = 15 * time.Second

// report collects findings.
type report struct {
	Options
	ctx  context.Context
	list []Finding
	line *visitor // the first connection of a mail server to us

	intake *intake               // of Postfix, nil if none is known
	proof  func() []trial.Daemon // the daemons that we may know, nil if none is to be shown a secret
}

func (r *report) add(check string, state State, mend []string, format string, args ...any) {
	r.list = append(r.list, Finding{Check: check, State: state, Says: fmt.Sprintf(format, args...), Mend: mend})
}

func (r *report) good(check, format string, args ...any) { r.add(check, Good, nil, format, args...) }
func (r *report) wrong(check string, mend []string, format string, args ...any) {
	r.add(check, Wrong, mend, format, args...)
}

// run asks another program. Its messages are in English.
func (r *report) run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	out, err := r.Run(ctx, name, args...)
	return string(out), err
}

func runProgram(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && len(exit.Stderr) > 0 {
		err = errors.New(strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

// Examine looks at everything. What cannot be looked at is a finding too.
func Examine(ctx context.Context, opts Options) []Finding {
	if opts.Run == nil {
		opts.Run = runProgram
	}
	if opts.SendmailCF == "" {
		opts.SendmailCF = "/etc/mail/sendmail.cf"
	}
	r := &report{Options: opts, ctx: ctx}
	cfg := r.configuration()
	r.rules(cfg)
	r.clock(cfg)
	r.daemon(cfg)
	sockets := r.sockets(cfg)
	postfix := r.postfix(sockets)
	sendmail := r.sendmail(sockets)
	if !postfix && !sendmail {
		r.add("mail server", Unknown, nil, "there is neither Postfix (postconf) nor Sendmail (%s) here: run this where the mail server is", opts.SendmailCF)
	}
	if opts.Send {
		r.proof = func() []trial.Daemon { return trial.Find(cfg.File) }
		r.send()
	}
	return r.list
}

// configuration returns the configuration, with the defaults in place of what is wrong.
func (r *report) configuration() *config.Config {
	const check = "configuration"
	cfg, problems, err := config.Examine(r.Config)
	var file *config.FileError
	switch {
	case errors.As(err, &file) && errors.Is(err, fs.ErrPermission):
		r.add(check, Unknown, []string{"sudo bounce-milter doctor"}, "%v: run this as root", err)
	case err != nil:
		r.wrong(check, nil, "%v", err)
	}
	if cfg == nil {
		r.problems(check, problems)
		return config.Default()
	}
	if len(problems) == 0 {
		problems = append(cfg.CheckHost(), cfg.CheckRoom()...)
	}
	if len(problems) > 0 {
		r.problems(check, problems)
		return cfg
	}
	for _, p := range cfg.Warnings() {
		r.add(check, Warning, nil, "%s", p)
	}
	if cfg.File == "" {
		r.good(check, "the built-in defaults are in force: there is no %s", config.DefaultPath)
	} else if err == nil {
		r.good(check, "%s, with the files and folders that it names", cfg.File)
	}
	return cfg
}

func (r *report) problems(check string, list toml.Problems) {
	for _, p := range list {
		r.wrong(check, nil, "%s", p)
	}
}

// rules looks at the rules that are in force after a reload.
func (r *report) rules(cfg *config.Config) {
	dir := cfg.RulesFolder()
	engine, err := classify.New(classify.Options{RulesDir: dir})
	var problems classify.Problems
	switch {
	case errors.As(err, &problems):
		r.problems("rules", toml.Problems(problems))
	case err != nil:
		r.wrong("rules", nil, "%v", err)
	case len(engine.Warnings()) > 0:
		for _, p := range engine.Warnings() {
			r.add("rules", Warning, []string{"bounce-milter rules test"}, "%s", p)
		}
	default:
		r.good("rules", "%d rules, version %s", len(engine.RuleIDs()), engine.Version())
	}
}

// Worst returns the worst state of the findings.
func Worst(list []Finding) State {
	for _, s := range []State{Wrong, Unknown, Warning} {
		if slices.ContainsFunc(list, func(f Finding) bool { return f.State == s }) {
			return s
		}
	}
	return Good
}

// quote writes words as a shell reads them. Each stays one word, whatever is in it.
func quote(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,=") != "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " ")
}
