package config

import (
	"os"
	"strings"
	"testing"
)

// bounce-milter.toml(5) has every key in the section of its table, with its default.
func TestManual(t *testing.T) {
	data, err := os.ReadFile("../packaging/man/bounce-milter.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	manual := strings.ReplaceAll(string(data), `\(dq`, `"`)
	// entry returns what the manual says about a key of a table.
	entry := func(title, key string) string {
		_, section, ok := strings.Cut(manual, title)
		if !ok {
			t.Fatalf("no section %q", title)
		}
		section, _, _ = strings.Cut(section, "\n.Ss ")
		section, _, _ = strings.Cut(section, "\n.Sh ")
		_, entry, ok := strings.Cut(section, ".It Ic "+key+"\n")
		if !ok {
			t.Errorf("%s is not in its section", key)
		}
		entry, _, _ = strings.Cut(entry, ".It Ic ")
		return entry
	}
	defaults := 0
	check := func(title, key, want string) {
		defaults++
		_, value, _ := strings.Cut(entry(title, key), "Default:\n")
		if !strings.Contains(value, want) {
			t.Errorf("%s: default %s is given as %q", key, want, value)
		}
	}
	for _, k := range keys {
		table, name := k.table()
		title := ".Ss Keys above the first table\n"
		if table != "" {
			title = ".Ss Table " + table + "\n"
		}
		check(title, name, k.bind(Default()).text())
	}
	for _, table := range tables {
		if table.many == nil {
			continue
		}
		c := Default()
		title := ".Ss Tables " + table.name + "\n"
		for _, k := range table.many.keys(table.many.grow(c)) {
			name := k.local()
			if value := k.bind(c).text(); value != `""` && value != "[]" {
				check(title, name, value)
			} else {
				entry(title, name)
			}
		}
	}
	if n := strings.Count(manual, "Default:\n"); n != defaults {
		t.Errorf("%d keys have a default in the manual, there are %d", n, defaults)
	}
}
