package config

import (
	"time"

	"github.com/bounce-milter/bounce-milter/internal/proof"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// dkims are the tables [[origin.dkim]].
var dkims many = &manyOf[proof.DKIM]{
	table: "origin.dkim",
	of:    func(c *Config) *[]proof.DKIM { return &c.Milter.Origin.DKIM },
	fresh: func() proof.DKIM { return proof.DKIM{} },
	own: []keyOf[proof.DKIM]{
		{name: "domain", doc: `The d= of the signatures.`,
			bind: func(d *proof.DKIM) value { return word{&d.Domain, "example.org"} }},
		{name: "selector", doc: `The s= of the signatures. With dns = true it may be left out, for any.`,
			bind: func(d *proof.DKIM) value { return optional{word{&d.Selector, "s1"}} }},
		{name: "public_key_file", doc: `File with the public key, in PEM or as its record in DNS.`,
			bind: func(d *proof.DKIM) value {
				return optional{folder{&d.PublicKeyFile, "/etc/bounce-milter/s1.pem"}}
			}},
		{name: "dns", doc: `Whether the key is looked up in DNS instead. No message waits longer than 500 ms for it.`,
			bind: func(d *proof.DKIM) value { return optional{boolean{&d.DNS}} }},
	},
	sample: `[[origin.dkim]]
domain = "example.org"
selector = "s1"
public_key_file = "/etc/bounce-milter/s1.pem"
`,
}

// day is a day in UTC, "" for none.
type day struct{ p *time.Time }

func (v day) wants() string { return `a day, as in "2026-12-01", or "" for none` }

func (v day) text() string {
	if v.p.IsZero() {
		return `""`
	}
	return toml.Quote(v.p.Format(time.DateOnly))
}

func (v day) set(in toml.Value, bad report) {
	if !is(toml.String, in, v, bad) {
		return
	}
	if in.Text == "" {
		*v.p = time.Time{}
		return
	}
	t, err := time.Parse(time.DateOnly, in.Text)
	if err != nil {
		bad(whole, "%q is no day: write %s", in.Text, v.wants())
		return
	}
	*v.p = t
}
