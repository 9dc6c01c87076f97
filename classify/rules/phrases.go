package rules

import (
	"maps"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// writtenList is a named list of phrases as it is written. Rules name it as "@name"
// among their own phrases.
type writtenList struct {
	Line    toml.Line
	Name    toml.Text
	Phrases []toml.Text
}

// phraseList is a named list that was read.
type phraseList struct {
	file    string
	line    int
	phrases []string
	used    bool
}

// listName returns the name of the list that "@name" stands for, "" for a phrase.
func listName(phrase string) string {
	if name, ok := strings.CutPrefix(phrase, "@"); ok && validID(name) {
		return name
	}
	return ""
}

// sharedLists reads the lists that rules of every file may name.
func (b *builder) sharedLists(f File) {
	var data struct{ List []writtenList }
	b.decode(f, &data)
	b.shared = map[string]*phraseList{}
	b.lists = b.shared
	b.addLists(f, data.List)
}

// addLists adds a file's lists to those that its rules may name. A list may name
// those before it.
func (b *builder) addLists(f File, lists []writtenList) {
	for _, t := range lists {
		name := t.Name.S
		old := b.lists[name]
		switch {
		case !validID(name):
			b.complain(f.Name, int(t.Line), "a list needs a name of lower-case letters, digits and dashes")
			continue
		case old != nil:
			b.complain(f.Name, t.Name.Line, "list %q is there twice, first at %s:%d", name, old.file, old.line)
			continue
		case len(t.Phrases) == 0:
			b.complain(f.Name, int(t.Line), "list %q needs phrases", name)
		}
		b.lists[name] = &phraseList{file: f.Name, line: int(t.Line),
			phrases: toml.Strings(b.expand(f.Name, "phrases", t.Phrases))}
	}
}

// unusedLists complains about the lists of a file that no rule names.
func (b *builder) unusedLists(file string) {
	for _, name := range slices.Sorted(maps.Keys(b.lists)) {
		if l := b.lists[name]; l.file == file && !l.used {
			b.complain(file, l.line, "list %q is named by no rule: write \"@%s\" among the phrases of one", name, name)
		}
	}
}

// phrases reads a list of phrases or tokens; "@" of near stands for an address.
func (b *builder) phrases(v *Compiled, key string, list []toml.Text) []string {
	list = b.expand(v.File, key, list)
	v.Written = append(v.Written, list)
	return toml.Strings(list)
}

// expand returns a list of phrases with those of the named lists in it in place of the
// names. It complains about what is not a phrase or is there already.
func (b *builder) expand(file, key string, list []toml.Text) (out []toml.Text) {
	if b.tested && !slices.ContainsFunc(list, func(t toml.Text) bool { return listName(t.S) != "" }) {
		return list
	}
	add := func(phrase string, line int) { out = append(out, toml.Text{S: phrase, Line: line}) }
	b.list++
	for _, t := range list {
		name := listName(t.S)
		if name == "" {
			if !b.isPhrase(file, key, t) {
				continue
			}
			switch in, twice := b.cameFrom(t.S, ""); {
			case !twice:
				add(t.S, t.Line)
			case in == "":
				b.complain(file, t.Line, "%s holds %q twice", key, t.S)
			default:
				b.complain(file, t.Line, "%s holds %q, which is in @%s as well", key, t.S, in)
			}
			continue
		}
		l := b.lists[name]
		if l == nil {
			b.complain(file, t.Line,
				"%s names a list %q that is not there%s",
				key, name, toml.DidYouMean(name, slices.Sorted(maps.Keys(b.lists))))
			continue
		}
		l.used = true
		for _, phrase := range l.phrases {
			switch in, twice := b.cameFrom(phrase, name); {
			case !twice:
				add(phrase, t.Line)
			case in == "":
				b.complain(file, t.Line, "%s holds %q, which is in @%s as well", key, phrase, name)
			}
		}
	}
	return out
}

// cameFrom reports whether the list that is read holds a phrase already, and from which
// named list, "" if from none. If it does not, it does from now on.
func (b *builder) cameFrom(phrase, name string) (in string, twice bool) {
	if old := b.seen[phrase]; old.list == b.list {
		return old.from, true
	}
	b.seen[phrase] = seenPhrase{b.list, name}
	return "", false
}

// isPhrase reports whether a text can be a phrase, and complains if it is too long or too
// short.
func (b *builder) isPhrase(file, key string, t toml.Text) bool {
	switch {
	case key == "near" && t.S == NearAddress:
	case len(t.S) > maxPhrase:
		b.complain(file, t.Line, "%s has a phrase of %d octets: the maximum is %d", key, len(t.S), maxPhrase)
		return false
	case len(strings.TrimSpace(t.S)) < 2:
		b.complain(file, t.Line, "%s holds %q, which is too short to say anything", key, t.S)
		return false
	}
	return true
}
