package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// builder fills a Set and collects what is wrong with the data.
type builder struct {
	set        *Set
	files      []File // all data
	problems   Problems
	reasonByID map[string]Reason
	// What rules may name, sorted.
	reasonNames, providerNames []string
	ruleByID                   map[string]*Compiled
	// Named lists of phrases: those of every file, and with them those of the
	// file that is read.
	shared, lists map[string]*phraseList
	// Where each phrase was seen last; one map for all lists, because there are thousands.
	seen      map[string]seenPhrase
	tested    bool // the embedded data is read: a test has looked for twins in it and compiled its expressions
	list      int  // number of the list of phrases that is read
	overrides []override
	replaced  map[*Compiled]*Compiled    // built-in rules that own rules replace without saying so
	signs     map[string]map[string]sign // of providers, by key and text
	own       int                        // providers that the administrator added
}

// seenPhrase is the number of a list that holds a phrase, and the named list that the
// phrase came from.
type seenPhrase struct {
	list int
	from string
}

// override is an administrator's word about a built-in rule.
type override struct {
	id       string
	disabled bool
	file     string
	line     int
	by       *Compiled // the administrator's rule with the same id; nil for an [[override]]
}

var types = []string{"hard", "soft", "block"}

// categories are those of package classify, which a test holds this list to.
var categories = []string{"invalid-address", "mailbox", "mailbox-full", "rate-limit", "recipient-error",
	"rejection", "dmarc", "sender-reputation", "blocked", "unclassified"}

func (b *builder) complain(file string, line int, format string, args ...any) {
	b.problems = append(b.problems, Problem{File: file, Line: line, Message: fmt.Sprintf(format, args...)})
}

// decode reads a file into the struct that into points to.
func (b *builder) decode(f File, into any) {
	b.problems = append(b.problems, toml.Decode(f.Name, f.Data, into)...)
}

// oneOf complains about a word that is not among those known. Of what is not
// said the caller complains.
func (b *builder) oneOf(f File, what string, t toml.Text, known []string) {
	if t.S != "" && !slices.Contains(known, t.S) {
		b.complain(f.Name, t.Line, "unknown %s %q%s", what, t.S, toml.DidYouMean(t.S, known))
	}
}

// provider complains about a provider that is not declared, and says where to do that.
func (b *builder) provider(f File, t toml.Text) {
	if t.S == "" || slices.Contains(b.providerNames, t.S) {
		return
	}
	where := "a file of the folder classify/rules/providers"
	if f.Admin {
		where = "this file or another of rules_dir"
	}
	mend := "declare it"
	if near := toml.Nearest(t.S, b.providerNames); near != "" {
		mend = fmt.Sprintf("did you mean %q? Else declare it", near)
	}
	b.complain(f.Name, t.Line, "unknown provider %q: %s with [[provider]], in %s", t.S, mend, where)
}

// host reads the name of a host, which may be written in one way only. It stands
// for itself and for the hosts below it.
func (b *builder) host(f File, t toml.Text) string {
	host := strings.Trim(strings.TrimPrefix(strings.ToLower(t.S), "*"), ".")
	if host != t.S {
		b.complain(f.Name, t.Line,
			"write %q as %q: lower case, no dot around it, no asterisk; it stands for the hosts below it too",
			t.S, host)
	} else if i := strings.IndexAny(host, "*?@/ \t"); i >= 0 {
		b.complain(f.Name, t.Line, "host %q holds %q, which no name of a host does", host, host[i:i+1])
	}
	return host
}

func (b *builder) wrappers(f File) {
	var data struct {
		Wrapper []struct {
			Line toml.Line
			Wrapper
		}
		Tail []struct {
			Line toml.Line
			Tail
		}
		Words struct {
			Compounds                     []toml.Text
			Greeting, Light, Mute, Naming []string
		}
		Witness   Witness
		Elsewhere Elsewhere
	}
	b.decode(f, &data)
	for _, w := range data.Wrapper {
		if len(w.Marker) == 0 {
			b.complain(f.Name, int(w.Line), "a wrapper needs a marker")
		}
		b.set.Wrappers = append(b.set.Wrappers, w.Wrapper)
	}
	for _, t := range data.Tail {
		if len(t.Marker) == 0 {
			b.complain(f.Name, int(t.Line), "a tail needs a marker")
		}
		b.set.Tails = append(b.set.Tails, t.Tail)
	}
	for _, t := range data.Words.Compounds {
		head, tail, ok := strings.Cut(t.S, "-")
		if !ok || head == "" || tail == "" {
			b.complain(f.Name, t.Line, "write %q with a hyphen between its parts", t.S)
		}
		b.set.Compounds = append(b.set.Compounds, Compound{head, tail})
	}
	b.set.Greetings, b.set.Light = data.Words.Greeting, data.Words.Light
	b.set.Mute, b.set.Naming = data.Words.Mute, data.Words.Naming
	b.set.Witness, b.set.Elsewhere = data.Witness, data.Elsewhere
}
