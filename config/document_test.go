package config

import (
	"fmt"
	"os"
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
	return b.String()
}
