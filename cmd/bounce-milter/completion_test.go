package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCandidates(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "c.toml")
	rule := "[[rule]]\nid = \"my-very-own\"\nreason = \"policy\"\nany = [\"the gryphon says no\"]\nexamples = [\"550 the gryphon says no\"]\n"
	for name, text := range map[string]string{mine: "rules_dir = \"" + dir + "/rules.d\"\n", filepath.Join(dir, "rules.d", "mine.toml"): rule} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ typed, want string }{
		{"c", "classify config completion"},
		{"__", ""},
		{"-", "--help --version"},
		{"rules ", "list show test propose"},
		{"rules --config x t", "test"},
		{"rules list ", ""},
		{"ticket ", "keygen verp"},
		{"ticket keygen --", "--append --help"},
		{"ticket keygen --append ", ":files"},
		{"ticket verp --key-file ", ":files"},
		{"frobnicate ", ""},
		{"version ", ""},
		{"help r", "report rules"},
		{"help rules s", "show"},
		{"help rules show ", ""},
		{"completion ", "bash zsh fish"},
		{"completion bash ", ""},
		{"classify ", ":files"},
		{"classify --", "--format --sum --events --as --every-attempt --config --help"},
		{"classify a.eml --f", "--format"},
		{"classify --format ", "text json"},
		{"classify --format=j", "--format=json"},
		{"classify --config ", ":files"},
		{"classify --config=x", ":files"},
		{"classify --colour a", ":files"},
		{"explain --remote-mta ", ""},
		{"explain -- --f", ":files"},
		{"rules show --config " + mine + " my-", "my-very-own"},
		{"rules show --config=" + mine + " my", "my-very-own"},
		{"rules show --config=" + mine + " mailbox-file", "mailbox-file-not-writable"},
		{"rules show --config " + mine + " my-very-own ", ""},
		{"rules show --config " + dir + "/none.toml my-", ""},
	} {
		words := strings.Split(tt.typed, " ")
		cur := words[len(words)-1]
		var got []string
		for _, c := range new(app).candidates(words[:len(words)-1], cur) {
			if c.word == filesToo || strings.HasPrefix(c.word, cur) {
				got = append(got, c.word)
			}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%q: %q, want %q", tt.typed, s, tt.want)
		}
	}
}

// Completion in bash, which splits words at "=" and does not show descriptions.
func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal("the completion of bash cannot be tested without it:", err)
	}
	script, err := filepath.Abs("completion/bounce-milter")
	if err != nil {
		t.Fatal(err)
	}
	// As bash calls it, except for compopt, which exists only during a completion.
	const ask = `source "$0"; compopt() { COMPREPLY=("compopt $*"); }
COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _bounce_milter; printf '%s\n' "${COMPREPLY[@]}"`
	for _, tt := range []struct {
		words []string
		want  string
	}{
		{[]string{""}, "serve classify follow explain report rules config health doctor ticket completion version help"},
		{[]string{"cla"}, "classify"},
		{[]string{"rules", ""}, "list show test propose"},
		{[]string{"classify", "--format", "=", "j"}, "json"},
		{[]string{"classify", "--format", "="}, "text json"},
		{[]string{"classify", "--format", "j"}, "json"},
		{[]string{"classify", "--config", "=", "c"}, "compopt -o default"},
		{[]string{"config", "check", ""}, "compopt -o default"},
		{[]string{"serve", ""}, ""},
		{[]string{"frobnicate", "--"}, "--help --version"},
	} {
		cmd := exec.Command(bash, append([]string{"--norc", "-c", ask, script, "bounce-milter"}, tt.words...)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C") // bash warns of a locale that is absent
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(string(out)), " "); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.words, got, tt.want)
		}
	}
}

// The program prints the same completions that make install installs, each under the name that
// its shell looks for, and make install installs no others.
func TestCompletionScripts(t *testing.T) {
	makefile := read(t, "Makefile")
	var files []string
	for _, sh := range shells {
		files = append(files, sh.file)
		if !strings.Contains(makefile, " cmd/bounce-milter/completion/"+sh.file+"\n") {
			t.Errorf("make install knows no %s", sh.file)
		}
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		if code := run([]string{"completion", sh.name}, strings.NewReader(""), out, os.Stderr); code != exitGood {
			t.Errorf("%s: exit code %d", sh.name, code)
		}
		if said, err := os.ReadFile(out.Name()); err != nil || string(said) != read(t, "cmd/bounce-milter/completion/"+sh.file) {
			t.Errorf("%s: %v, %s", sh.name, err, said)
		}
	}
	there, err := os.ReadDir("completion")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range there {
		if !slices.Contains(files, f.Name()) {
			t.Errorf("%s is no shell's", f.Name())
		}
	}
}
