package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The tables of keys in docs/configuration.md are made from the same table as the packaged
// configuration and Show.
func TestDocumentedKeys(t *testing.T) {
	const path = "../docs/configuration.md"
	const begin, end = "<!-- keys: go test ./config -update writes them -->\n", "<!-- end of keys -->\n"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the keys", path)
	}
	want := before + begin + keyTables() + end + after
	if want == string(data) {
		return
	}
	if !*update {
		t.Fatalf("%s does not have the keys as they are; go test ./config -update writes them", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// keyTables writes a table of each table's keys.
func keyTables() string {
	var b strings.Builder
	cell := func(s string) string {
		return strings.NewReplacer("\n", " ", "|", `\|`, "<", "&lt;", "*", `\*`).Replace(strings.TrimSpace(s))
	}
	for _, table := range tables {
		title := "### Above the first table"
		if table.name != "" {
			title = "### `" + table.heading() + "`"
		}
		fmt.Fprintf(&b, "\n%s\n\n", title)
		if table.doc != "" {
			fmt.Fprintf(&b, "%s\n\n", table.doc)
		}
		b.WriteString("| key | default | meaning |\n|---|---|---|\n")
		c := Default()
		list := keys
		if table.many != nil {
			list = table.many.keys(table.many.grow(c))
		}
		for _, k := range list {
			if name, _ := k.table(); table.many == nil && name != table.name {
				continue
			}
			fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", k.local(), strings.ReplaceAll(k.bind(c).text(), "|", `\|`), cell(k.doc))
		}
	}
	b.WriteString("\n")
	b.WriteString("\n### What needs a restart\n\nA reload puts every key in force but these:\n\n| key or table | why |\n|---|---|\n")
	for _, r := range restarts {
		name := r.name
		if slices.ContainsFunc(tables, func(t table) bool { return t.name == name }) {
			name = "[" + name + "]"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, r.why)
	}
	return b.String()
}

// restarts are the keys and tables that a reload does not put in force. It takes all
// others, or none of them if there is a mistake.
var restarts = []struct{ name, why string }{
	{"user", "The daemon cannot become root again to change its user. A reload with another one is refused, and says so."},
	{"follow", "`bounce-milter follow` is a process of its own, and reads it when it starts: `systemctl restart bounce-milter-follow`."},
}

// What needs a restart is a key or a table.
func TestRestarts(t *testing.T) {
	for _, r := range restarts {
		if !slices.ContainsFunc(keys, func(k key) bool { return k.name == r.name }) && !slices.ContainsFunc(tables, func(t table) bool { return t.name == r.name }) {
			t.Errorf("%s is neither a key nor a table", r.name)
		}
	}
}
