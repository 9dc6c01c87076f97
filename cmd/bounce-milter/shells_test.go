//go:build e2e

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestShells types into real shells on a terminal, with the Tab key, and looks at
// what the program is called with in the end. It needs script(1), zsh and fish.
// A script is sourced, or found in a folder of them, as an installed one is.
func TestShells(t *testing.T) {
	for _, sh := range []struct {
		name, how string
		args      []string
		begin     string // loads $SCRIPT and sets the prompt
	}{
		{"bash", "sourced", []string{"--norc", "--noprofile", "-i"}, `PS1='ready> '; source "$SCRIPT"; bind 'set bell-style none'`},
		{"zsh", "sourced", []string{"-f", "-i"}, `PS1='ready> '; autoload -U compinit; compinit -D -u; source "$SCRIPT"`},
		{"zsh", "found", []string{"-f", "-i"}, `PS1='ready> '; fpath=(${SCRIPT:h} $fpath); autoload -U compinit; compinit -D -u`},
		{"fish", "sourced", []string{"--no-config", "-i"}, `function fish_prompt; echo 'ready> '; end; source "$SCRIPT"`},
	} {
		t.Run(sh.name+" "+sh.how, func(t *testing.T) {
			program, err := exec.LookPath(sh.name)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			scripts, err := filepath.Abs("completion")
			if err != nil {
				t.Fatal(err)
			}
			script := ""
			for _, s := range shells {
				if s.name == sh.name {
					script = filepath.Join(scripts, s.file)
				}
			}
			s := startShell(t, dir, program, sh.args, "SCRIPT="+script)
			s.send(sh.begin + "\n")
			for _, tt := range []struct {
				typed string
				want  []string
			}{
				{"cla\tx", []string{"classify", "x"}},
				{"ru\tte\tx", []string{"rules", "test", "x"}},
				{"classify --fo\tj\tx", []string{"classify", "--format", "json", "x"}},
				{"classify --format=j\tx", []string{"classify", "--format=json", "x"}},
				{"config check some\tx", []string{"config", "check", "some file.toml", "x"}},
				{"serve --config=some\tx", []string{"serve", "--config=some file.toml", "x"}},
				{"serve --config some\tx", []string{"serve", "--config", "some file.toml", "x"}},
				{"rules show --config some\tmy-\tx", []string{"rules", "show", "--config", "some file.toml", "my-very-own", "x"}},
				{"help conf\tsh\tx", []string{"help", "config", "show", "x"}},
				{"--version\t", []string{"--version"}},
			} {
				if got := s.enter("bounce-milter " + tt.typed); !slices.Equal(got, tt.want) {
					t.Errorf("%q calls %q, want %q", tt.typed, got, tt.want)
				}
			}
		})
	}
}

// shell is a shell on a terminal, in a folder with a configuration, whose
// bounce-milter completes, and writes down what else it is called with.
type shell struct {
	t      *testing.T
	in     io.Writer
	called string

	mu  sync.Mutex
	out bytes.Buffer
}

func startShell(t *testing.T, dir, program string, args []string, env string) *shell {
	t.Helper()
	real, err := exec.LookPath("bounce-milter")
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{t: t, called: filepath.Join(dir, "called")}
	for name, text := range map[string]string{
		"bin/bounce-milter": "#!/bin/sh\nif [ \"$1\" = __complete ]; then exec " + real + " \"$@\"; fi\n" +
			"for arg; do echo \"$arg\"; done >" + s.called + ".new; mv " + s.called + ".new " + s.called + "\n",
		"some file.toml": "rules_dir = \"" + dir + "/rules.d\"\n",
		"rules.d/mine.toml": "[[rule]]\nid = \"my-very-own\"\nreason = \"policy\"\n" +
			"any = [\"the gryphon says no\"]\nexamples = [\"550 the gryphon says no\"]\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("script", "-q", "-e", "-c", program+" "+strings.Join(args, " "), "/dev/null")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env, "HOME="+dir, "TERM=xterm", "LC_ALL=C.UTF-8",
		"PATH="+filepath.Join(dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Stdout, cmd.Stderr = s, s
	if s.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.send("exit\n"); cmd.Wait() != nil && !t.Failed() {
			t.Errorf("%s ends badly", program)
		}
		if t.Failed() {
			t.Logf("the terminal showed:\n%q", s.shown())
		}
	})
	return s
}

// Write takes what the terminal shows.
func (s *shell) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

func (s *shell) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

func (s *shell) send(keys string) {
	if _, err := io.WriteString(s.in, keys); err != nil {
		s.t.Error(err)
	}
}

// enter types a line and returns the arguments that the program is called with.
func (s *shell) enter(line string) []string {
	s.send(line + "\n")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		called, err := os.ReadFile(s.called)
		if err != nil {
			continue
		}
		if err := os.Remove(s.called); err != nil {
			s.t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(called), "\n"), "\n")
	}
	s.t.Fatalf("%q: bounce-milter was never called", line)
	return nil
}
