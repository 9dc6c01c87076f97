package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/maillog"
	"github.com/bounce-milter/bounce-milter/config"
	"github.com/spf13/pflag"
)

// options are the values of the flags. A flag means the same in every command that has
// it.
type options struct {
	config    string
	format    choice
	remoteMTA string
	events    bool
	as        choice
	sum       bool
	send      bool
	appendTo  string
	keyFile   string
	help      bool
	version   bool

	everyAttempt bool
}

// flags defines all flags. A command takes those that it names.
func (o *options) flags() *pflag.FlagSet {
	o.format = choice{words: []string{"text", "json"}}
	f := newFlagSet("")
	f.Var((*fileName)(&o.config), "config", "read FILE instead of "+config.DefaultPath)
	f.Var(&o.format, "format", "text is for people, json is one object a line (default text)")
	f.StringVar(&o.remoteMTA, "remote-mta", "", "`HOST` is the server that answered a REPLY")
	f.BoolVar(&o.events, "events", false, "print event records, one per line")
	f.BoolVar(&o.sum, "sum", false, "print the sums alone")
	for _, format := range maillog.Formats() {
		o.as.words = append(o.as.words, string(format))
	}
	o.as.words = append(o.as.words, "journal", "mail")
	f.Var(&o.as, "as", "take every PATH for a log of this program or the journal, or for mail")
	f.BoolVar(&o.everyAttempt, "every-attempt", false, "show each attempt in a log, not the last of each message")
	f.BoolVar(&o.send, "send", false, "send a bounce through the mail server, and show its headers")
	f.Var((*fileName)(&o.appendTo), "append", "add the key to FILE, instead of printing it")
	f.Var((*fileName)(&o.keyFile), "key-file", "compute the MAC with the first key of FILE")
	f.BoolVarP(&o.help, "help", "h", false, "print this page")
	f.BoolVarP(&o.version, "version", "v", false, "print the version")
	// Users of other tools type this.
	f.BoolVarP(&o.version, "Version", "V", false, "")
	f.Lookup("Version").Hidden = true
	return f
}

func newFlagSet(name string) *pflag.FlagSet {
	f := pflag.NewFlagSet(name, pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {} // the caller prints help and errors
	return f
}

// json reports whether the user asked for JSON, in which case nothing else may be
// printed.
func (o *options) json() bool { return o.format.word == "json" }

// takesValue reports whether arg is a flag whose value is the next argument.
func takesValue(all *pflag.FlagSet, arg string) bool {
	name, long := strings.CutPrefix(arg, "--")
	f := all.Lookup(name)
	return long && f != nil && f.NoOptDefVal == ""
}

// choice is the value of a flag that takes one of a few words, the first by
// default.
type choice struct {
	words []string
	word  string
}

var _ pflag.Value = (*choice)(nil)

func (c *choice) String() string { return c.word }
func (c *choice) Type() string   { return strings.Join(c.words, "|") }

func (c *choice) Set(word string) error {
	if slices.Contains(c.words, word) {
		c.word = word
		return nil
	}
	return errors.New("write " + orList(c.words))
}

// fileName is the value of a flag that names a file.
type fileName string

var _ pflag.Value = (*fileName)(nil)

func (f *fileName) String() string        { return string(*f) }
func (f *fileName) Type() string          { return "FILE" }
func (f *fileName) Set(name string) error { *f = fileName(name); return nil }

// orList writes words as one says them: "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
