package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// PageCode returns the first block of code in a language ("python") of a section of a page,
// which is named by its path in the repository and its heading ("docs/events.md", "To a
// file"): what a page shows is tested as it stands there.
func PageCode(page, section, language string) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		return "", fmt.Errorf("reading a page: %w", err)
	}
	_, rest, ok := strings.Cut(string(text), "\n## "+section+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	if ok {
		_, rest, ok = strings.Cut(rest, "```"+language+"\n")
	}
	code, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		return "", fmt.Errorf("%s has no %s code below %q", page, language, section)
	}
	return code + "\n", nil
}
