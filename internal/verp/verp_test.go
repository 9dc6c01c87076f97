package verp

import (
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/address"
)

var site = []string{
	"bounces+{local}={domain}@lists.example.org",
	"{list}-back+{local}={domain}@lists.example.org",
	"b-{token}@lists.example.org",
	"t.{token}+{local}={domain}@mail.example.org",
	"m.{local}={domain}+{mac}@mail.example.org",
	"{domain}={local}.rev@rev.example.org",
}

func compiled(t testing.TB, texts ...string) *Patterns {
	t.Helper()
	ps, problems := Compile(texts)
	for _, p := range problems {
		t.Fatalf("pattern %d: %v", p.Pattern, p.Err)
	}
	return ps
}

func TestDecode(t *testing.T) {
	ps := compiled(t, site...)
	for addr, want := range map[string]Match{
		// Addresses of our patterns.
		"bounces+jo=example.com@lists.example.org":        {Address: "jo@example.com"},
		"BOUNCES+Jo=Example.com@Lists.Example.ORG.":       {Address: "Jo@Example.com"},
		"bounces+jo+tag=example.com@lists.example.org":    {Address: "jo+tag@example.com"},
		"bounces+a=b=c=example.com@lists.example.org":     {Address: "a=b=c@example.com"},
		"bounces+jo%2Bx=example.com@lists.example.org":    {Address: "jo%2Bx@example.com"}, // whoever encodes decodes
		"bounces+=x=example.com@lists.example.org":        {Address: "=x@example.com"},
		"bounces+jo=localhost@lists.example.org":          {Address: "jo@localhost"},
		"bounces+jürgen=bücher.example@lists.example.org": {Address: "jürgen@bücher.example"},
		"news-back+jo=example.com@lists.example.org":      {Address: "jo@example.com", List: "news"},
		"a-back-back+b-back+jo=e.com@lists.example.org":   {Address: "b-back+jo@e.com", List: "a-back"},
		"b-7f3a9c-2211@lists.example.org":                 {Token: "7f3a9c-2211"},
		"t.x-9+jo+y=example.com@mail.example.org":         {Address: "jo+y@example.com", Token: "x-9"},
		"m.a+b=c=example.com+0af9@mail.example.org":       {Address: "a+b=c@example.com", MAC: "0af9", Signed: "m.a+b=c=example.com+{mac}@mail.example.org"},
		"SRS0=HHH=TT=mail.example.org=M.Jo=E.com+0AF9@forwarder.example": {Address: "Jo@E.com", MAC: "0AF9",
			Signed: "m.Jo=E.com+{mac}@mail.example.org"},
		"example.com=a=b.rev@rev.example.org": {Address: "a=b@example.com"},
		// Addresses that only look like those of our patterns.
		"bounces+jo=example.com@other.example.org":  {},
		"bounces+jo@lists.example.org":              {},
		"bounces+=example.com@lists.example.org":    {},
		"bounces+jo=@lists.example.org":             {},
		"bounces+jo=-example.com@lists.example.org": {},
		"bounces+jo=exa_mple.com@lists.example.org": {},
		"bounces+jo=a..b@lists.example.org":         {},
		"bounces+jo example=a.b@lists.example.org":  {},
		"bounces+jo\x00=a.b@lists.example.org":      {},
		"b-@lists.example.org":                      {},
		"b-a+b@lists.example.org":                   {},
		"m.jo=example.com+0a-9@mail.example.org":    {},
		"jo@lists.example.org":                      {},
		"@lists.example.org":                        {},
		"bounces+jo=example.com@":                   {},
		"bounces+jo=example.com":                    {},
		"":                                          {},
		"bounces+" + strings.Repeat("a", 600) + "=example.com@lists.example.org": {},
		// Well-known forms, at any domain.
		"news-bounces+jo=example.com@lists.example.net":           {Address: "jo@example.com", List: "news"},
		"my-news-bounces+jo+x=example.com@lists.example.net":      {Address: "jo+x@example.com", List: "my-news"},
		"owner-news+jo=example.com@lists.example.net":             {Address: "jo@example.com", List: "news"},
		"news-owner+jo=example.com@lists.example.net":             {Address: "jo@example.com", List: "news"},
		"news-return-42-jo=example.com@lists.example.net":         {Address: "jo@example.com", List: "news"},
		"news-return-42-jo-ann-7=x=example.com@lists.example.net": {Address: "jo-ann-7=x@example.com", List: "news"},
		"news-owner-jo=example.com@lists.example.net":             {Address: "jo@example.com", List: "news"},
		"bounce+jo.ann==a==example.com==news@lists.example.net":   {Address: "jo.ann@example.com", List: "news"},
		"owner-news*jo**example.com@lists.example.net":            {Address: "jo@example.com", List: "news"},
		// Addresses that only look like well-known forms.
		"jo+shop=example.com@example.net":                        {}, // an extension
		"bounces+jo=example.com@example.net":                     {}, // some senders put more before the user
		"bounces+1234-ab12-jo=example.com@em.example.net":        {},
		"news-bounces+jo=intranet@lists.example.net":             {}, // no public domain
		"news-bounces+jo=10.0.0.1@lists.example.net":             {},
		"news-bounces+d41d8cd98f00b204@lists.example.net":        {}, // Mailman's probe: a token of its own
		"a-return-1-b-return-2-jo=example.com@lists.example.net": {}, // of which list?
		"news-return-x-jo=example.com@lists.example.net":         {},
		"-bounces+jo=example.com@lists.example.net":              {},
		// Wrapped.
		"prvs=2345abcdef=bounces+jo=example.com@lists.example.org":                    {Address: "jo@example.com"},
		"prvs=bounces+jo=example.com/2345abcdef@lists.example.org":                    {Address: "jo@example.com"},
		"btv1==1234abcd==b-77@lists.example.org":                                      {Token: "77"},
		"msprvs1=17500abcdefgh=b-77@lists.example.org":                                {Token: "77"},
		"SRS0=abCd=X2=lists.example.org=bounces+jo=example.com@fwd.example.net":       {Address: "jo@example.com"},
		"srs0+abCd=X2=lists.example.org=b-77@fwd.example.net":                         {Token: "77"},
		"SRS1=abCd=fwd.example.net==h+/h=X2=lists.example.org=b-77@other.example.net": {Token: "77"},
		"SRS0=abCd=X2=lists.example.org=prvs=2345abcdef=b-77@fwd.example.net":         {Token: "77"},
		"prvs=2345abcdef=SRS0=abCd=X2=lists.example.org=b-77@fwd.example.net":         {Token: "77"},
		"SRS0=abCd=X2=example.com=jo@fwd.example.net":                                 {}, // a sender, not whom he wrote to
		"prvs=2345abcdef=jo@example.com":                                              {},
		"prvs=short=b-77@lists.example.org":                                           {},
		"SRS0=abCd=X2=b-77@fwd.example.net":                                           {},
		strings.Repeat("prvs=2345abcdef=", 5) + "b-77@lists.example.org":              {}, // nobody wraps so often
	} {
		if got := ps.Decode(addr); got != want {
			t.Errorf("%q: %+v, want %+v", addr, got, want)
		}
	}
	if got := (*Patterns)(nil).Decode("news-bounces+jo=example.com@lists.example.net"); got.Address != "jo@example.com" {
		t.Errorf("without patterns: %+v", got)
	}
	if got := ps.First("postmaster@lists.example.org", "b-1@lists.example.org", "b-2@lists.example.org"); got.Token != "1" {
		t.Errorf("the first of several: %+v", got)
	}
}

func TestCompile(t *testing.T) {
	const good = "bounces+{local}={domain}@lists.example.org"
	for name, tt := range map[string]struct {
		give []string
		want string // of the first problem
	}{
		"none":        {nil, ""},
		"site":        {site, ""},
		"two domains": {[]string{good, "bounces+{local}={domain}@lists.example.net"}, ""},
		"token apart": {[]string{good, "bounces+{token}@lists.example.org"}, ""}, // no token has a "="
		"mac last":    {[]string{"{list}-{mac}+{local}={domain}@l.example.org"}, ""},
		"mac first":   {[]string{"b-{mac}-{local}={domain}@l.example.org"}, ""},

		"no domain":    {[]string{"bounces+{local}"}, `is not an address: write one "@"`},
		"two at":       {[]string{"b@{local}={domain}@l.example.org"}, `is not an address: write one "@"`},
		"bad domain":   {[]string{"b+{token}@-l.example.org"}, `"-l.example.org" is not a domain`},
		"in domain":    {[]string{"b@{token}.example.org"}, `has a placeholder after the "@"`},
		"unknown":      {[]string{"b+{user}={domain}@l.example.org"}, "has {user}, which is not a placeholder: there are local, domain, list, token, mac"},
		"misspelt":     {[]string{"b+{locl}={domain}@l.example.org"}, `did you mean "local"?`},
		"number":       {[]string{"b+{number}-{token}@l.example.org"}, "has {number}, which is not a placeholder"},
		"open":         {[]string{"b+{local={domain@l.example.org"}, "has a single brace"},
		"close":        {[]string{"b+local}@l.example.org"}, "has a single brace"},
		"twice in one": {[]string{"b+{local}={domain}={local}@l.example.org"}, "has {local} twice"},
		"nothing":      {[]string{"bounces@l.example.org"}, "does not say whom"},
		"mac alone":    {[]string{"b-{mac}@l.example.org"}, "does not say whom"},
		"half":         {[]string{"b+{local}@l.example.org"}, "has only one of {local} and {domain}"},
		"space":        {[]string{"b +{token}@l.example.org"}, `has "b +", which contains a character that no address may contain`},
		"long":         {[]string{strings.Repeat("b", 600) + "{token}@l.example.org"}, `has 607 octets before the "@"`},

		"side by side": {[]string{"{list}{token}@l.example.org"}, "has {list}{token} side by side"},
		"two ways":     {[]string{"b-{token}-{local}={domain}@l.example.org"}, `can be read in two ways, because it is unclear which "-" is the one before {local}`},
		"list, token":  {[]string{"{list}-{token}@l.example.org"}, `can be read in two ways, because it is unclear which "-" is the one before {token}`},
		"both sides":   {[]string{"{list}-{mac}-{token}@l.example.org"}, `can be read in two ways`},
		"bad mix":      {[]string{"{local}={domain}-{mac}-{token}@l.example.org"}, `can be read in two ways`},

		"twice":   {[]string{good, strings.ToUpper(good[:8]) + good[8:]}, "is listed twice"},
		"overlap": {[]string{good, "{list}+{local}={domain}@lists.example.org"}, `"bounces+a=a@lists.example.org" matches "` + good + `" and "{list}+`},
		"tokens":  {[]string{"b-{token}@l.example.org", "b-x{token}@l.example.org"}, `"b-xa@l.example.org" matches`},
		"many":    {make([]string, 70), "is one of 70 patterns: write at most 64"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := Compile(tt.give)
			got := ""
			if len(problems) > 0 {
				got = problems[0].Err.Error()
			}
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// The patterns that cost most to compare are compared within a moment, without recursion.
func TestCompileMany(t *testing.T) {
	var texts []string
	for i := range MaxPatterns {
		texts = append(texts, strings.Repeat("a", 80)+string(rune('a'+i%26))+string(rune('a'+i/26))+"+{list}+{local}={domain}@l.example.org")
	}
	compiled(t, texts...)
}

func BenchmarkDecode(b *testing.B) {
	ps := compiled(b, site...)
	for b.Loop() {
		ps.Decode("news-back+jo=example.com@lists.example.org")
	}
}

// FuzzDecode: decoding yields an address or a token, all of whose parts were in the input.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"bounces+jo=example.com@lists.example.org", "m.a+b=c=example.com+0af9@mail.example.org",
		"a-back-back+b-back+jo=e.com@lists.example.org", "news-return-42-jo=example.com@lists.example.net",
		"SRS1=abCd=fwd.example.net==h+/h=X2=lists.example.org=b-77@other.example.net",
		"prvs=2345abcdef=bounces+jo=example.com@lists.example.org", "owner-news*jo**example.com@lists.example.net",
		"bounce+jo.ann==a==example.com==news@lists.example.net", "prvs=b-77/2345abcdef@lists.example.org",
	} {
		f.Add(s)
	}
	ps := compiled(f, site...)
	f.Fuzz(func(t *testing.T, s string) {
		m := ps.Decode(s)
		if m.Address != "" && !address.IsMailbox(m.Address) {
			t.Errorf("%q: %q is no mailbox", s, m.Address)
		}
		for _, part := range append(strings.SplitN(m.Address, "@", 2), m.List, m.Token, m.MAC) {
			if !strings.Contains(s, part) {
				t.Errorf("%q: %q is not in it", s, part)
			}
		}
	})
}

// FuzzCompile: if patterns have no problems, no address matches two of them, and each
// reads the addresses that are made with it.
func FuzzCompile(f *testing.F) {
	f.Add("bounces+{local}={domain}@l.example.org", "{list}-b+{local}={domain}@l.example.org", "jo+x", "list-b")
	f.Add("b-{token}-{mac}@l.example.org", "b+{token}@l.example.org", "a-b", "x-1")
	f.Add("{list}-{mac}-{local}={domain}@l.example.org", "{domain}={local}+x@l.example.org", "a-b-c", "b-a-b")
	f.Fuzz(func(t *testing.T, one, two, word, other string) {
		ps, problems := Compile([]string{one, two})
		if len(problems) > 0 {
			return
		}
		for i, p := range ps.list {
			value := map[field]string{fieldLocal: word, fieldDomain: "x-y.example", fieldList: other, fieldToken: word, fieldMAC: "0a"}
			local := p.texts[0]
			for j, f := range p.fields {
				if value[f] == "" || excludes(f, value[f]) {
					return
				}
				local += value[f] + p.texts[j+1]
			}
			m := p.match(local, lower(local))
			if !m.found() {
				t.Fatalf("%q does not read its own %q", p.text, local)
			}
			for f, got := range map[field]string{fieldList: m.List, fieldToken: m.Token, fieldMAC: m.MAC} {
				if got != "" && got != value[f] {
					t.Errorf("%q reads {%s} of %q as %q", p.text, fieldNames[f], local, got)
				}
			}
			if m.Address != "" && m.Address != word+"@x-y.example" {
				t.Errorf("%q reads %q as %q", p.text, local, m.Address)
			}
			if q := ps.list[1-i]; q.domain == p.domain && q.match(local, lower(local)).found() {
				t.Errorf("%q fits %q and %q", local, p.text, q.text)
			}
		}
	})
}
