package config

import (
	"strings"
)

// Show writes the configuration as TOML with a comment on every key. Parse reads
// it back as the same configuration.
func (c *Config) Show() string {
	var b strings.Builder
	for _, t := range tables {
		if t.many != nil {
			c.showMany(&b, t)
			continue
		}
		if t.name != "" {
			b.WriteString("\n")
			comment(&b, t.doc)
			b.WriteString(t.heading() + "\n")
		}
		first := true
		for _, k := range keys {
			table, _ := k.table()
			if table != t.name {
				continue
			}
			if !first || t.name != "" {
				b.WriteString("\n")
			}
			first = false
			comment(&b, k.doc)
			c.showKey(&b, k)
		}
	}
	return b.String()
}

// showMany writes the tables [[name]], with a comment at the first use of each key; if
// there are no such tables, it writes an example.
func (c *Config) showMany(b *strings.Builder, t table) {
	b.WriteString("\n")
	comment(b, t.doc)
	n := t.many.count(c)
	if n == 0 {
		comment(b, t.many.example())
		return
	}
	said := map[string]bool{}
	for i := range n {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(t.heading() + "\n")
		for _, k := range c.itemKeys(t, i) {
			if name := k.local(); !said[name] {
				said[name] = true
				b.WriteString("\n")
				comment(b, k.doc)
			}
			c.showKey(b, k)
		}
	}
}

func (c *Config) showKey(b *strings.Builder, k key) {
	b.WriteString(k.local() + " = " + k.bind(c).text() + "\n")
}

func comment(b *strings.Builder, text string) {
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight("# "+line, " \n") + "\n")
	}
}

// Settings returns every key with its value in TOML, in the order of the file, for
// the log line at start: less what may be secret in a URL.
func (c *Config) Settings() [][2]string {
	every := c.everyKey()
	list := make([][2]string, len(every))
	for i, k := range every {
		v := k.bind(c)
		list[i] = [2]string{k.name, v.text()}
		if l, ok := v.(interface{ logged() string }); ok {
			list[i][1] = l.logged()
		}
	}
	return list
}
