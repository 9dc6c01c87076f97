package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/rules"
	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

func runRulesList(a *app, words []string) error {
	_, engine, err := loadEngine(a.options.config)
	if err != nil {
		return err
	}
	return a.listRules(engine, words)
}

func runRulesShow(a *app, args []string) error {
	if len(args) != 1 {
		return usagef("rules show: which rule? Write one id; see bounce-milter rules list")
	}
	_, engine, err := loadEngine(a.options.config)
	if err != nil {
		return err
	}
	return a.showRule(engine, args[0])
}

func runRulesTest(a *app, files []string) error {
	cfg, err := config.Load(a.options.config)
	if err != nil {
		return err
	}
	if ps := cfg.CheckRulesFolder(); len(ps) > 0 {
		return ps
	}
	return a.testRules(cfg, files)
}

func (a *app) listRules(engine *classify.Engine, words []string) error {
	var list []rules.Rule
	for _, r := range engine.Rules() {
		if holdsAll(&r, words) {
			list = append(list, r)
		}
	}
	if a.options.json() {
		enc := newEncoder(a)
		for _, r := range list {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	style := newStyle(a.stdout)
	file := ""
	for _, r := range list {
		if r.File != file {
			if file != "" {
				fmt.Fprintln(a.out)
			}
			file = r.File
			fmt.Fprintln(a.out, style.paint(bold, file))
		}
		reason, _ := engine.Reason(r.Reason)
		typ := r.Type
		if typ == "" {
			typ = reason.Type
		}
		marks := ""
		if r.StockPhrase {
			marks += " (stock phrase)"
		}
		if r.Shadow {
			marks += " (shadow)"
		}
		from := strings.Join(r.Providers, ",")
		line := fmt.Sprintf("  %s  %s  %s  %s  %s", pad(r.ID, 36), pad(r.Reason, 20), style.paint(typeColour[classify.Type(typ)], pad(typ, 5)),
			pad(reason.Category, 17), strings.TrimSpace(from+marks))
		fmt.Fprintln(a.out, strings.TrimRight(line, " "))
	}
	if len(list) == 0 {
		return fmt.Errorf("rules list: no rule contains %s", strings.Join(words, " and "))
	}
	fmt.Fprintf(a.out, "\n%s of %s rules\n", grouped(len(list)), grouped(len(engine.RuleIDs())))
	return nil
}

func holdsAll(r *rules.Rule, words []string) bool {
	where := strings.ToLower(r.ID + "\n" + r.Reason + "\n" + strings.Join(r.Providers, "\n") + "\n" + r.File)
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(where, strings.ToLower(w)) })
}

func (a *app) showRule(engine *classify.Engine, id string) error {
	r, isRule := engine.Rule(id)
	reason, isReason := engine.Reason(id)
	if a.options.json() {
		enc := newEncoder(a)
		if isRule {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		if isReason {
			if err := enc.Encode(reason); err != nil {
				return err
			}
		}
	} else {
		if isRule {
			of, _ := engine.Reason(r.Reason)
			a.showWhole(&r, of)
		}
		if isRule && isReason {
			fmt.Fprintln(a.out)
		}
		if isReason {
			a.showReason(engine, reason)
		}
	}
	if isRule || isReason {
		return nil
	}
	ids := engine.RuleIDs()
	for _, r := range engine.Reasons() {
		ids = append(ids, r.ID)
	}
	if near := toml.Nearest(id, ids); near != "" {
		return fmt.Errorf("rules show: no rule %q: did you mean %q?", id, near)
	}
	return fmt.Errorf("rules show: no rule %q: see bounce-milter rules list", id)
}

// testRules prints which rules it read, what may not be meant, and what is wrong.
func (a *app) testRules(cfg *config.Config, files []string) error {
	x := classify.Examine(cfg.RulesFolder(), files)
	fmt.Fprintf(a.out, "read: the built-in rules; %s\n", ownFiles(cfg, x.Files))
	a.warn(x.Warnings)
	if len(x.Problems) > 0 {
		if len(x.Untested) == 0 {
			return x.Problems
		}
		return fmt.Errorf("%w\nnot tested until the above is mended: the examples of %s",
			x.Problems, strings.Join(x.Untested, ", "))
	}
	own, notices := "", ""
	if x.Own > 0 {
		own = fmt.Sprintf(" (%s of your own)", grouped(x.Own))
	}
	if x.Notices {
		notices = ", notices of your own"
	}
	fmt.Fprintf(a.out, "%s rules%s, %s examples%s: good\n", grouped(x.Rules), own, grouped(x.Examples), notices)
	return nil
}

// ownFiles names the administrator's files that were read, or says why there are none.
func ownFiles(cfg *config.Config, files []string) string {
	folder := cfg.RulesFolder()
	inFolder, others := 0, []string(nil)
	for _, f := range files {
		if folder != "" && filepath.Dir(f) == filepath.Clean(folder) {
			inFolder++
		} else {
			others = append(others, f)
		}
	}
	var from string
	switch {
	case cfg.RulesDir == "":
		from = "no folder of your own, because rules_dir is \"\""
	case folder == "":
		from = "no folder of your own, because there is no " + cfg.RulesDir
	case inFolder == 1:
		from = "1 file in " + folder
	default:
		from = fmt.Sprintf("%d files in %s", inFolder, folder)
	}
	return strings.Join(append([]string{from}, others...), "; ")
}
