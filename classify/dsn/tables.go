package dsn

import (
	"maps"
	"slices"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// reportTables is the contents of data/report.toml, about reports in the wild. Its keys
// are in lower case.
type reportTables struct {
	actions   map[string]Action // registered and invented actions
	noCharset map[string]bool   // charset labels that say nothing
	charset   map[string]string // charset labels that no registry has, with the right one
	feedback  []feedbackForm    // abuse reports that are not in the form of RFC 5965

	feedbackTypes map[string]FeedbackType // invented types of complaints
	redacted      redactedTable

	types      map[string]content // media types of parts
	fields     []fieldAlias
	hostTypes  []string          // types in fields that name servers
	typeNames  map[string]string // types in fields that are other names of registered types
	person     personTable
	rejection  rejectionTable
	diagnostic []string // parts of the names of extension fields that hold a reply
}

// fieldAlias is another name for a field of RFC 3464.
type fieldAlias struct {
	name   string
	stands fieldID
}

// feedbackForm tells of abuse reports that are not in the form of RFC 5965.
type feedbackForm struct {
	returned string // field of the message that is complained about: whom it was for
	subject  string // of the report: what stands before the address that it came from
}

// redactedTable names addresses that name nobody, lower case.
type redactedTable struct{ Local, Domain []string }

// personTable has fields that tell whether a person wrote a message.
type personTable struct {
	Fields   []string // people's mail programs set these, and so do some other programs
	Together []string // only people's mail programs set all of these in one message
	Never    []string // people's mail programs never set these
}

// rejectionTable describes refusals in the form of a disposition notification, in lower
// case. Means and MeansFull are words for which package classify has rules.
type rejectionTable struct {
	Dispositions []string // dispositions of a refused message
	Subject      []string // beginnings of the Subject
	Says         []string // phrases in the words of the message
	Submitted    []string // phrases in Auto-Submitted
	Full         []string // phrases for a full mailbox
	Means        string   // what a refusal means
	MeansFull    string   `toml:"means_full"` // what it means if the mailbox is full
}

// reportFile is data/report.toml as it is written.
type reportFile struct {
	Actions  map[Action][]string
	Charsets struct {
		None  []string
		Alias map[string]string
	}
	Feedback []struct {
		Line            toml.Line
		About, Returned string
		Subject         string
	}
	Complaint struct {
		Type     map[FeedbackType][]string
		Redacted redactedTable
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

func loadTables(l *toml.Loader) *reportTables {
	var f reportFile
	l.Read("data/report.toml", &f)
	t := &reportTables{
		actions:       f.actions(l),
		noCharset:     map[string]bool{"": true}, // no label at all
		charset:       f.Charsets.Alias,
		feedback:      f.feedback(l),
		feedbackTypes: f.feedbackTypes(l),
		redacted:      f.Complaint.Redacted,
		types:         map[string]content{},
		fields:        f.fields(l),
		hostTypes:     f.Names.Host,
		typeNames:     f.Names.Type,
		person:        f.Person,
		rejection:     f.Rejection,
		diagnostic:    f.Diagnostic.Fields,
	}
	for _, label := range f.Charsets.None {
		t.noCharset[label] = true
	}
	for _, name := range f.Types.Fields {
		t.types[name] = reportFields
	}
	for _, name := range f.Types.Returned {
		t.types[name] = returnedMessage
	}
	return t
}

func (f *reportFile) actions(l *toml.Loader) map[string]Action {
	m := map[string]Action{}
	for _, a := range Actions() {
		m[string(a)] = a
	}
	for a, words := range f.Actions {
		if m[string(a)] != a {
			l.Complain(0, "%q is not an action of RFC 3464: write one of %s", a, toml.OneOf(Actions()))
		}
		for _, w := range words {
			m[w] = a
		}
	}
	return m
}

func (f *reportFile) fields(l *toml.Loader) []fieldAlias {
	var list []fieldAlias
	for _, name := range slices.Sorted(maps.Keys(f.Names.Field)) {
		id := slices.Index(fieldNames[:], f.Names.Field[name])
		if id <= 0 {
			l.Complain(0, "%q is not a field of RFC 3464: write one of %s", f.Names.Field[name], toml.OneOf(fieldNames[1:]))
			continue
		}
		list = append(list, fieldAlias{name, fieldID(id)})
	}
	return list
}

func (f *reportFile) feedback(l *toml.Loader) []feedbackForm {
	var list []feedbackForm
	for _, fb := range f.Feedback {
		if fb.Returned == "" {
			l.Complain(fb.Line, "a report needs the field of the message that it is about: add returned")
		}
		list = append(list, feedbackForm{fb.Returned, fb.Subject})
	}
	return list
}

func (f *reportFile) feedbackTypes(l *toml.Loader) map[string]FeedbackType {
	m := map[string]FeedbackType{}
	for t, words := range f.Complaint.Type {
		if !slices.Contains(FeedbackTypes(), t) {
			l.Complain(0, "%q is no type of complaint: write one of %s", t, toml.OneOf(FeedbackTypes()))
		}
		for _, w := range words {
			m[w] = t
		}
	}
	return m
}
