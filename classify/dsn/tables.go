package dsn

import (
	"maps"
	"slices"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// reportTables is what data/report.toml says about reports in the wild.
type reportTables struct {
	actions   map[string]Action // invented actions, lower case
	noCharset map[string]bool   // labels that say nothing
	charset   map[string]string // labels that no registry has
	feedback  []string          // fields of messages that Hotmail and the like complain about

	types      map[string]content // of parts, lower case
	fields     []fieldAlias
	hostTypes  []string          // of names of servers, lower case
	typeNames  map[string]string // of addresses and the like, and what they stand for, lower case
	person     personTable
	rejection  rejectionTable
	diagnostic []string // parts of the names of extension fields that hold a reply, lower case
}

// fieldAlias is a name that stands for a field of RFC 3464.
type fieldAlias struct {
	name   string
	stands fieldID
}

// personTable names fields that tell whether a person wrote a message.
type personTable struct {
	Fields   []string // people's mail programs set them, and some others
	Together []string // all of them in one message only people's do
	Never    []string // people's never do
}

// rejectionTable is what the data say of refusals in the form of a disposition
// notification. All is lower case but what a refusal means, in words that package
// classify has rules for.
type rejectionTable struct {
	Dispositions []string // what became of the message
	Subject      []string // the Subject begins so
	Says         []string // the words say so
	Submitted    []string // Auto-Submitted says so
	Full         []string // they name a full mailbox
	Means        string
	MeansFull    string `toml:"means_full"`
}

func loadTables(l *toml.Loader) *reportTables {
	var f struct {
		Actions  map[Action][]string
		Charsets struct {
			None  []string
			Alias map[string]string
		}
		Feedback []struct {
			Line            toml.Line
			About, Returned string
		}
		Diagnostic struct{ Fields []string }
		Rejection  rejectionTable
		Types      struct{ Fields, Returned []string }
		Person     personTable
		Names      struct {
			Field map[string]string
			Type  map[string]string
			Host  []string
		}
	}
	l.Read("data/report.toml", &f)
	t := &reportTables{
		actions:   map[string]Action{},
		noCharset: map[string]bool{"": true}, // there is no label
		charset:   f.Charsets.Alias,

		diagnostic: f.Diagnostic.Fields,
		rejection:  f.Rejection,
		person:     f.Person,
		hostTypes:  f.Names.Host,
		typeNames:  f.Names.Type,
		types:      map[string]content{},
	}
	for _, name := range slices.Sorted(maps.Keys(f.Names.Field)) {
		id := slices.Index(fieldNames[:], f.Names.Field[name])
		if id <= 0 {
			l.Complain(0, "%q is no field of RFC 3464: write one of %s", f.Names.Field[name], toml.OneOf(fieldNames[1:]))
			continue
		}
		t.fields = append(t.fields, fieldAlias{name, fieldID(id)})
	}
	for _, name := range f.Types.Fields {
		t.types[name] = reportFields
	}
	for _, name := range f.Types.Returned {
		t.types[name] = returnedMessage
	}
	for _, a := range Actions() {
		t.actions[string(a)] = a
	}
	for a, words := range f.Actions {
		if t.actions[string(a)] != a {
			l.Complain(0, "%q is no action of RFC 3464: write one of %s", a, toml.OneOf(Actions()))
		}
		for _, w := range words {
			t.actions[w] = a
		}
	}
	for _, label := range f.Charsets.None {
		t.noCharset[label] = true
	}
	for _, fb := range f.Feedback {
		if fb.Returned == "" {
			l.Complain(fb.Line, "a report needs the field of the message that it is about: add returned")
		}
		t.feedback = append(t.feedback, fb.Returned)
	}
	return t
}
