package main

import (
	"errors"
	"flag"
	"fmt"
	iofs "io/fs"
	"os"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/rules"
	"github.com/bounce-milter/bounce-milter/config"
)

var configCommand = command{
	name: "config", args: "check|show [FILE]",
	does: "check or show the configuration",
	more: `check prints every problem of the file, of what it names on this host and of the
rules in its rules_dir, each with its line and the mend; exit code 1 if there is one.
What works but gives others a say is a warning, and good: files that they may write,
clients who are trusted though anybody may be them.
show prints the effective configuration, which is a configuration file again.

Without FILE it is ` + config.DefaultPath + ` if that exists, else the defaults.`,
	run: runConfig,
}

func runConfig(a *app, fs *flag.FlagSet, args []string) error {
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return usagef("config: check or show? See bounce-milter help config")
	}
	if len(args) > 2 {
		return usagef("config %s: one file at a time: %s", args[0], strings.Join(args[1:], " "))
	}
	file := ""
	if len(args) == 2 {
		file = args[1]
	}
	switch args[0] {
	case "check":
		return a.checkConfig(file)
	case "show":
		cfg, err := config.Load(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "# Effective configuration of bounce-milter, from %s.\n\n%s", origin(cfg), cfg.Show())
		return nil
	}
	return usagef("config: unknown word %q: write check or show", args[0])
}

// origin names where a configuration comes from.
func origin(cfg *config.Config) string {
	if cfg.File == "" {
		return "built-in defaults"
	}
	return cfg.File
}

func (a *app) checkConfig(file string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	var said []error
	if ps := cfg.CheckHost(); len(ps) > 0 {
		said = append(said, ps)
	}
	if dir := cfg.RulesFolder(); dir != "" && !missing(dir) {
		if problems := classify.Check(dir, nil); len(problems) > 0 {
			said = append(said, rules.Problems(problems))
		}
	}
	a.warn(cfg.Warnings())
	if len(said) > 0 {
		return errors.Join(said...)
	}
	fmt.Fprintf(a.out, "%s: good\n", origin(cfg))
	return nil
}

// warn prints what is to be thought about, though it works.
func (a *app) warn(ps config.Problems) {
	for _, p := range ps {
		p.Message = "warning: " + p.Message
		a.complain(errors.New(p.String()))
	}
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, iofs.ErrNotExist)
}
