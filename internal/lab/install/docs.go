package install

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// fenced is a block of code of a document.
type fenced struct {
	heading  string // above it, "## Install"
	language string // "sh" is commands, "console" commands and what they print
	text     string
}

// blocks returns the blocks of code of one of the project's documents, so that a test runs
// what people are told to type.
func blocks(document string) ([]fenced, error) {
	module, err := lab.ModuleRoot()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(module, document))
	if err != nil {
		return nil, err
	}
	var list []fenced
	heading, inside := "", false
	for line := range strings.Lines(string(data)) {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && !inside:
			list = append(list, fenced{heading: heading, language: strings.TrimSpace(fence)})
			inside = true
		case isFence:
			inside = false
		case inside:
			list[len(list)-1].text += line
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimSpace(line)
		}
	}
	return list, nil
}

// block returns the first block of code below a heading.
func block(document, heading string) (string, error) {
	list, err := blocks(document)
	if err != nil {
		return "", err
	}
	for _, b := range list {
		if b.heading == heading {
			return b.text, nil
		}
	}
	return "", fmt.Errorf("%s has no code below %q", document, heading)
}

// typed is a command that people are told to type.
type typed struct {
	command string
	note    string // the comment behind it
	prints  string // what the document says that it prints, "" for nothing
}

// commands returns the commands of a block, none of one that is not for a shell.
func (b *fenced) commands() []typed {
	var list []typed
	for line := range strings.Lines(b.text) {
		command := strings.TrimSuffix(line, "\n")
		if b.language == "console" {
			var ok bool
			if command, ok = strings.CutPrefix(command, "$ "); !ok {
				list[len(list)-1].prints += line
				continue
			}
		} else if b.language != "sh" {
			return nil
		}
		command, note, _ := strings.Cut(command, "  # ")
		list = append(list, typed{command: strings.TrimSpace(command), note: note})
	}
	return list
}
