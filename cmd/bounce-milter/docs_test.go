package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/bounce-milter/bounce-milter/config"
	"github.com/spf13/pflag"
)

// shown are the commands that the documents must describe.
func shown() (list []*command) {
	for _, c := range commands() {
		if !c.hidden {
			list = append(list, c)
		}
	}
	return list
}

// The table of commands is complete. Otherwise only users would see what is missing.
func TestCommandTable(t *testing.T) {
	all := new(options).flags()
	used := map[string]bool{"help": true, "version": true, "Version": true}
	for _, c := range commands() {
		if c.does == "" || c.run == nil || len(strings.Fields(c.name)) > 2 {
			t.Errorf("%s is not whole", c.name)
		}
		if found := under(c.name); len(found) != 1 {
			t.Errorf("%s is the beginning of another command, or there twice", c.name)
		}
		for _, name := range c.flags {
			if used[name] = true; all.Lookup(name) == nil {
				t.Errorf("%s: there is no flag --%s", c.name, name)
			}
		}
		for line := range strings.Lines(c.more) {
			if len(line) > 90 {
				t.Errorf("%s: a line too long for a terminal: %s", c.name, line)
			}
		}
		checkInvocations(t, "help "+c.name, c.more, regexp.MustCompile(`bounce-milter ([a-z][^"\n)|:]*)`))
		for _, flag := range anyFlag.FindAllString(c.more, -1) {
			if c.flagSet(all).Lookup(flag[2:]) == nil {
				t.Errorf("help %s: it does not take %s", c.name, flag)
			}
		}
	}
	all.VisitAll(func(f *pflag.Flag) {
		if !used[f.Name] {
			t.Errorf("no command takes --%s", f.Name)
		}
	})
}

var anyFlag = regexp.MustCompile(`--[a-z][a-z-]*`)

// checkInvocations checks each command line in a text against the table: the command exists and
// has those flags.
func checkInvocations(t *testing.T, where, text string, line *regexp.Regexp) {
	t.Helper()
	all := new(options).flags()
	for _, m := range line.FindAllStringSubmatch(text, -1) {
		args := strings.Fields(m[1])
		c, name, _ := pick(all, args)
		if c == nil {
			if len(under(name)) == 0 {
				t.Errorf("%s: there is no such command: %s", where, m[0])
			}
			continue
		}
		for _, flag := range anyFlag.FindAllString(m[1], -1) {
			if c.flagSet(all).Lookup(flag[2:]) == nil {
				t.Errorf("%s: %s takes no %s: %s", where, name, flag, m[0])
			}
		}
	}
}

// The table of commands in the documents is the program's.
func TestDocumentedCommands(t *testing.T) {
	const path = "docs/commands.md"
	all := new(options).flags()
	var want []string
	for _, c := range shown() {
		want = append(want, "| `bounce-milter "+strings.ReplaceAll(c.synopsis(all), "|", `\|`)+"` | "+c.does+" |")
	}
	if got := regexp.MustCompile("(?m)^\\| `bounce-milter .*$").FindAllString(read(t, path), -1); !slices.Equal(got, want) {
		t.Errorf("%s has the commands\n%s\nwant\n%s", path, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The command lines in README and documents are valid.
func TestDocumentedInvocations(t *testing.T) {
	for _, path := range documents(t) {
		if path == "docs/commands.md" {
			continue // synopses
		}
		text := read(t, path)
		for _, re := range []string{`(?m)^\$ bounce-milter (.*)$`, "`bounce-milter ([a-z][^`|]*)`"} {
			if re := regexp.MustCompile(re); re.MatchString(text) {
				checkInvocations(t, path, text, re)
			}
		}
	}
}

// documents returns README and all pages.
func documents(t *testing.T) []string {
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(pages) < 10 {
		t.Fatal(pages, err)
	}
	list := []string{"README.md"}
	for _, p := range pages {
		list = append(list, "docs/"+filepath.Base(p))
	}
	return list
}

// The README is for somebody who has five minutes.
func TestReadmeIsShort(t *testing.T) {
	readme := read(t, "README.md")
	if n := strings.Count(readme, "\n"); n > 200 {
		t.Errorf("it has %d lines", n)
	}
	first, _, _ := strings.Cut(readme, "\n## ")
	for _, command := range []string{"make run", "make test"} {
		if !strings.Contains(first, command) {
			t.Errorf("its first screen does not show %s", command)
		}
	}
}

// Links within README and documents lead somewhere: to a file, and to a heading in it.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading := regexp.MustCompile("(?m)^#+ (.*)$")
	fence := regexp.MustCompile("(?ms)^```.*?^```")
	anchors := func(path string) map[string]bool {
		set := map[string]bool{}
		for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(read(t, path), ""), -1) {
			set[anchor(m[1])] = true
		}
		return set
	}
	found := 0
	for _, path := range append(documents(t), "CHANGELOG.md") {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(read(t, path), ""), -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") {
				continue // elsewhere
			}
			found++
			file := filepath.Join(filepath.Dir(path), target)
			if target == "" {
				file = path
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s: %s leads nowhere", path, m[1])
			} else if fragment != "" && strings.HasSuffix(file, ".md") && !anchors(file)[fragment] {
				t.Errorf("%s: %s has no heading #%s", path, file, fragment)
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d links were found", found)
	}
}

// anchor is the fragment by which GitHub and GitLab address a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// manualLine turns a line of mdoc(7) into plain text, as far as a synopsis uses mdoc.
func manualLine(line string) string {
	optional := false
	var out []string
	for word := range strings.FieldsSeq(strings.TrimPrefix(line, ".")) {
		switch word {
		case "Op":
			optional = true
		case "Fl":
			out = append(out, "-")
		case "Cm", "It":
		case "Ar":
			out = append(out, "Ar")
		default:
			out = append(out, word)
		}
	}
	text := strings.Join(out, " ")
	text = strings.NewReplacer("- - ", "--", "- ", "-", " | ", "|", " ...", "...").Replace(text)
	text = regexp.MustCompile(`Ar [a-z|]+`).ReplaceAllStringFunc(text, func(s string) string { return strings.ToUpper(s[3:]) })
	if optional {
		return "[" + text + "]"
	}
	return text
}

// The manual has every command with all its flags, and no other.
func TestManualCommands(t *testing.T) {
	page := read(t, "packaging/man/bounce-milter.8")
	all := new(options).flags()
	_, synopsis, _ := strings.Cut(page, ".Sh SYNOPSIS\n")
	synopsis, rest, ok := strings.Cut(synopsis, ".Sh DESCRIPTION\n")
	if !ok {
		t.Fatal("no synopsis")
	}
	var got, want, names []string
	for _, c := range strings.Split(synopsis, ".Nm\n")[1:] {
		var words []string
		for line := range strings.Lines(c) {
			words = append(words, manualLine(strings.TrimSpace(line)))
		}
		got = append(got, strings.Join(words, " "))
	}
	for _, c := range shown() {
		want = append(want, c.synopsis(all))
		names = append(names, c.name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the synopsis is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// What the manual says about each command, in the order of the table, then about each flag.
	description, rest, _ := strings.Cut(rest, ".El\n")
	if got := items(description); !slices.Equal(got, names) {
		t.Errorf("the description has %q, want %q", got, names)
	}
	description, _, _ = strings.Cut(rest, ".El\n")
	var flags []string
	all.VisitAll(func(f *pflag.Flag) {
		value, _ := pflag.UnquoteUsage(f)
		item := strings.TrimSpace("--" + f.Name + " " + value)
		if f.Shorthand != "" {
			item = "-" + f.Shorthand + " , " + item
		}
		if !f.Hidden {
			flags = append(flags, item)
		}
	})
	if got := items(description); !slices.Equal(got, flags) {
		t.Errorf("the description has the flags %q, want %q", got, flags)
	}
	for _, m := range regexp.MustCompile(`Fl Fl ([a-z-]+)`).FindAllStringSubmatch(page, -1) {
		if all.Lookup(m[1]) == nil {
			t.Errorf("there is no flag --%s", m[1])
		}
	}
	checkInvocations(t, "bounce-milter.8", page, regexp.MustCompile(`(?m)\$ bounce-milter (.*)$`))
}

// items returns the heads of a list of mdoc(7).
func items(text string) (heads []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, ".It ") {
			heads = append(heads, manualLine(strings.TrimSpace(line)))
		}
	}
	return heads
}

// Recipes and units call commands that exist.
func TestRecipesCallCommands(t *testing.T) {
	line := regexp.MustCompile("(?m)(?:ExecStart=|ExecReload=|`)(?:/\\S*/)?bounce-milter ([a-z][^`\\n]*)")
	for _, dir := range []string{"packaging", "systemd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			checkInvocations(t, path, string(text), line)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// The configurations of events and actions in the documents are valid.
func TestDocumentedConfigurations(t *testing.T) {
	var text string
	for _, path := range documents(t) {
		text += read(t, path)
	}
	blocks := regexp.MustCompile("(?s)```toml\n(\\[+(?:events|action).*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) < 8 {
		t.Errorf("there are %d", len(blocks))
	}
	for _, b := range blocks {
		if _, err := config.Parse("documents", []byte(b[1])); err != nil {
			t.Errorf("%v\n%s", err, b[1])
		}
	}
}

// What make help lists, and whatever else is called a target, has a recipe: make does nothing
// and says nothing for one that has none.
func TestTargetsAreThere(t *testing.T) {
	makefile := read(t, "Makefile")
	phony := regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindStringSubmatch(makefile)
	listed := regexp.MustCompile(`(?m)^#   make ([a-z-]+)`).FindAllStringSubmatch(makefile, -1)
	if phony == nil || len(listed) < 10 {
		t.Fatalf("the Makefile lists %q and %d targets", phony, len(listed))
	}
	names := strings.Fields(phony[1])
	for _, l := range listed {
		names = append(names, l[1])
	}
	for _, name := range names {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `:.*(\S|\n\t)`).MatchString(makefile) {
			t.Errorf("the Makefile has no rule for %s", name)
		}
	}
}
