package main

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

func runConfigCheck(a *app, args []string) error {
	file, err := a.configFile("config check", args)
	if err != nil {
		return err
	}
	return a.checkConfig(file)
}

func runConfigShow(a *app, args []string) error {
	file, err := a.configFile("config show", args)
	if err != nil {
		return err
	}
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "# Effective configuration of bounce-milter, from %s.\n\n%s", fileOf(cfg), cfg.Show())
	return nil
}

// configFile returns the file that a command is about: the value of --config, as in
// other commands, or an argument.
func (a *app) configFile(command string, args []string) (string, error) {
	if a.options.config != "" {
		args = append([]string{a.options.config}, args...)
	}
	if len(args) > 1 {
		return "", usagef("%s: one file at a time: %s", command, strings.Join(args, " "))
	}
	return strings.Join(args, ""), nil
}

// fileOf names where a configuration comes from.
func fileOf(cfg *config.Config) string {
	if cfg.File == "" {
		return "built-in defaults"
	}
	return cfg.File
}

func (a *app) checkConfig(file string) error {
	cfg, problems, err := config.Examine(file)
	if err != nil {
		return err
	}
	if cfg == nil {
		return problems
	}
	whole := len(problems) == 0
	var said []error
	if whole {
		problems = append(cfg.CheckHost(), cfg.CheckRoom()...)
	} else {
		// What the file says right is looked for on this host too; a default that
		// stands in for what it says wrong is not.
		for _, p := range append(cfg.CheckHost(), cfg.CheckRoom()...) {
			if p.Line > 0 && !slices.ContainsFunc(problems, func(q toml.Problem) bool { return q.Line == p.Line }) {
				problems = append(problems, p)
			}
		}
	}
	if dir := cfg.RulesFolder(); whole && dir != "" && !missing(dir) {
		x := classify.Examine(dir, nil)
		if len(x.Problems) > 0 {
			said = append(said, x.Problems)
		}
		a.warn(x.Warnings)
	}
	ps, err := checkActions(cfg)
	if err != nil {
		return err
	}
	if problems = append(problems, ps...); len(problems) > 0 {
		problems.Sort()
		said = append([]error{problems}, said...)
	}
	if whole {
		a.warn(cfg.Warnings())
	}
	if len(said) > 0 {
		return errors.Join(said...)
	}
	fmt.Fprintf(a.out, "%s: good\n", fileOf(cfg))
	return nil
}

// checkActions compares the actions with the rules in force, or with the built-in ones if
// there is something wrong with the others.
func checkActions(cfg *config.Config) (toml.Problems, error) {
	if len(cfg.Milter.Actions) == 0 {
		return nil, nil
	}
	engine, err := classify.New(classify.Options{RulesDir: cfg.RulesFolder()})
	if err != nil {
		if engine, err = classify.New(classify.Options{}); err != nil {
			return nil, err
		}
	}
	return cfg.CheckActions(action.VocabularyOf(engine)), nil
}

// warn prints warnings: what they are about works.
func (a *app) warn(ps toml.Problems) {
	for _, p := range ps {
		p.Key, p.Message = "warning", toml.Problem{Key: p.Key, Message: p.Message}.String()
		a.complain(errors.New(p.String()))
	}
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, iofs.ErrNotExist)
}
