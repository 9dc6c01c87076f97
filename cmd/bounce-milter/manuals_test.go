//go:build e2e

package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The manual pages are right by mandoc's reading and by groff's, which man uses.
func TestDocumentedManuals(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root, "packaging", "man", "*.[1-8]"))
	if err != nil || len(pages) < 3 {
		t.Fatal(pages, err)
	}
	// Our own pages are not in the index of this host's manuals.
	own := regexp.MustCompile(`(?m)^mandoc: .*: referenced manual not found: Xr bounce-milter.*\n|^mandoc: outdated mandoc\.db .*\n`)
	for _, page := range pages {
		out, _ := exec.Command("mandoc", "-T", "lint", page).CombinedOutput() // what it finds makes its exit code 1
		if found := own.ReplaceAllString(string(out), ""); found != "" {
			t.Errorf("mandoc: %s", found)
		}
		cmd := exec.Command("groff", "-mandoc", "-Tutf8", "-ww", page)
		var warnings strings.Builder
		cmd.Stderr = &warnings
		text, err := cmd.Output()
		if err != nil || warnings.Len() > 0 {
			t.Errorf("groff of %s: %v\n%s", page, err, warnings.String())
		}
		if !strings.Contains(string(text), "BOUNCE-MILTER") {
			t.Errorf("groff prints nothing of %s", page)
		}
	}
}
