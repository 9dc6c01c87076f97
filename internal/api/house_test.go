package api

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The picture of the house shows what imports what: every arrow is an import, and
// every import between two rooms of the picture runs along its arrows.
func TestHouse(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, picture, _ := strings.Cut(string(page), "```mermaid\nflowchart TD\n")
	picture, _, _ = strings.Cut(picture, "```")
	rooms, arrows := map[string]string{}, map[string][]string{}
	for _, m := range regexp.MustCompile(`(\w+)\["([^<]+)<br>`).FindAllStringSubmatch(picture, -1) {
		rooms[m[1]] = m[2]
	}
	for line := range strings.Lines(regexp.MustCompile(`\[".*?"\]`).ReplaceAllString(picture, "")) {
		if from, to, ok := strings.Cut(strings.TrimSpace(line), " --> "); ok {
			arrows[rooms[from]] = append(arrows[rooms[from]], rooms[to])
		}
	}
	if len(rooms) < 10 || len(arrows) < 5 {
		t.Fatalf("%d rooms and arrows from %d of them: is the picture still written so?", len(rooms), len(arrows))
	}

	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	imports := map[string]map[string]bool{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		of := map[string]bool{}
		for _, w := range words[1:] {
			if p, ok := strings.CutPrefix(w, module+"/"); ok {
				of[p] = true
			}
		}
		imports[strings.TrimPrefix(words[0], module+"/")] = of
	}
	for from, list := range arrows {
		for _, to := range list {
			if !imports[from][to] {
				t.Errorf("an arrow runs from %s to %s, which it does not import", from, to)
			}
		}
	}
	if t.Failed() { // perhaps the arrows run in a circle
		return
	}
	for _, from := range rooms {
		if imports[from] == nil {
			t.Errorf("%s is in the picture and no package", from)
		}
		for _, to := range rooms {
			if imports[from][to] && !leadsTo(arrows, from, to) {
				t.Errorf("%s imports %s: no arrow leads there", from, to)
			}
		}
	}
	for p := range imports {
		if (p == "milter" || strings.HasPrefix(p, "classify") || strings.HasPrefix(p, "config")) && !strings.Contains(picture, `["`+p+`<br>`) {
			t.Errorf("%s is not in the picture", p)
		}
		if !strings.Contains(string(page), "`"+p+"`") && strings.Count(p, "/") < 2 {
			t.Errorf("%s is not in the table of rooms", p)
		}
	}
}

func leadsTo(arrows map[string][]string, from, to string) bool {
	for _, next := range arrows[from] {
		if next == to || leadsTo(arrows, next, to) {
			return true
		}
	}
	return false
}
