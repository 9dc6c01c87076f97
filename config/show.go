package config

import (
	"strings"
)

// Show writes the configuration as TOML with a comment on every key. Parse reads
// it back as the same configuration.
func (c *Config) Show() string {
	var b strings.Builder
	for _, t := range tables {
		if t.name != "" {
			b.WriteString("\n")
			comment(&b, t.doc)
			b.WriteString("[" + t.name + "]\n")
		}
		first := true
		for _, k := range keys {
			table, name := k.table()
			if table != t.name {
				continue
			}
			if !first || t.name != "" {
				b.WriteString("\n")
			}
			first = false
			comment(&b, k.doc)
			b.WriteString(name + " = " + k.bind(c).text() + "\n")
		}
	}
	return b.String()
}

func comment(b *strings.Builder, text string) {
	for line := range strings.Lines(text) {
		b.WriteString("# " + strings.TrimSuffix(line, "\n") + "\n")
	}
}

// Settings returns every key with its value in TOML, in the order of the file, for
// the log line at start.
func (c *Config) Settings() [][2]string {
	list := make([][2]string, len(keys))
	for i, k := range keys {
		list[i] = [2]string{k.name, k.bind(c).text()}
	}
	return list
}
