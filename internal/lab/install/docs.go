package install

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// block returns the first block of code below a heading ("### Postfix") of one of the
// project's documents, so that a test runs what people are told to type.
func block(document, heading string) (string, error) {
	module, err := lab.ModuleRoot()
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(filepath.Join(module, document))
	if err != nil {
		return "", err
	}
	_, below, ok := strings.Cut(string(data), "\n"+heading+"\n")
	if ok {
		_, below, ok = strings.Cut(below, "\n```")
	}
	if ok {
		_, below, _ = strings.Cut(below, "\n") // the name of the language
		below, _, ok = strings.Cut(below, "```")
	}
	if !ok {
		return "", fmt.Errorf("%s has no code below %q", document, heading)
	}
	return below, nil
}
