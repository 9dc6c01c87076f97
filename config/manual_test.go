package config

import (
	"os"
	"strings"
	"testing"
)

// bounce-milter.toml(5) has every key in its table, with its default.
func TestManual(t *testing.T) {
	data, err := os.ReadFile("../packaging/man/bounce-milter.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	manual := strings.ReplaceAll(string(data), `\(dq`, `"`)
	for i, k := range keys {
		table, name := k.table()
		title := ".Ss Keys above the first table\n"
		if table != "" {
			title = ".Ss Table " + table + "\n"
		}
		_, section, ok := strings.Cut(manual, title)
		if !ok {
			t.Fatalf("no section %q", title)
		}
		section, _, _ = strings.Cut(section, ".El\n")
		_, entry, ok := strings.Cut(section, ".It Ic "+name+"\n")
		if !ok {
			t.Errorf("%s is not in its section", k.name)
			continue
		}
		entry, _, _ = strings.Cut(entry, ".It Ic ")
		_, value, _ := strings.Cut(entry, "Default:\n")
		if want := Default().Settings()[i][1]; !strings.Contains(value, want) {
			t.Errorf("%s: default %s is given as %q", k.name, want, value)
		}
	}
	if n := strings.Count(manual, "Default:\n"); n != len(keys) {
		t.Errorf("%d keys have a default in the manual, there are %d", n, len(keys))
	}
}
