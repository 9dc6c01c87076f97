package notice

import (
	"embed"
	"io/fs"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// role is what a phrase in a notice means; a phrase may have several roles.
type role uint32

const (
	roleOpens      role = 1 << iota // only this program writes such a sentence
	roleSays                        // the sentence says that mail failed
	roleList                        // the lines below list recipients
	roleNames                       // the next address is a recipient
	roleReply                       // the remote server's words come next
	roleHost                        // the remote server's name comes next
	roleHostBefore                  // the remote server's name stands before it
	roleReturned                    // a line that begins with it begins the returned message
	roleDelayed                     // the program will try again
	roleFailed                      // the program has given up
	roleOther                       // the next address is not a recipient
	roleOriginal                    // the next address is the recipient as the sender wrote it
	roleStop                        // nothing after it is about a recipient
	roleTranscript                  // an SMTP dialogue begins, the list of recipients ends
	roleSummary                     // a summary of the message follows, nothing more about recipients
	roleEnd                         // the remote server's words end before it
	roleAgainst                     // spam that imitates a notice writes it, or a notice of success
	roleForm                        // the program of roleOpens writes all it knows about a recipient by the address
	roleDetails                     // the recipients after expansion stand below, with details
	roleAside                       // a sentence with it says nothing about the failure
	roleInstead                     // the sentence names an address to write to instead
	roleGot                         // the recipients of the list, or the address before it, got the mail
)

// format is the data about one kind of notice.
type format struct {
	Line  toml.Line
	Name  string
	About string

	// ByAddress says that the program writes everything it knows about a
	// recipient by the address; the rest is a form letter.
	ByAddress bool `toml:"by_address"`

	Opens      []toml.Text
	Says       []toml.Text
	List       []toml.Text
	Names      []toml.Text
	Reply      []toml.Text
	Host       []toml.Text
	HostBefore []toml.Text `toml:"host_before"`
	Returned   []toml.Text
	Delayed    []toml.Text
	Failed     []toml.Text
	Other      []toml.Text
	Original   []toml.Text
	Stop       []toml.Text
	Transcript []toml.Text
	Summary    []toml.Text
	End        []toml.Text
	Against    []toml.Text
	Aside      []toml.Text
	Instead    []toml.Text
	Got        []toml.Text
	Details    []toml.Text

	Example []example
}

// example is a notice, or the part of one that matters, and what it must be read as.
type example struct {
	Line    toml.Line
	From    string
	Subject string
	Failed  string `toml:"failed_recipients"`
	Text    string
	Message string   // header and body, instead of the fields above; only in administrators' files
	Want    []string `toml:",empty"` // for each recipient: address, action, SMTP code, status, the reply's words
}

func (f *format) roles() map[role][]toml.Text {
	opens := roleOpens
	if f.ByAddress {
		opens |= roleForm
	}
	return map[role][]toml.Text{
		opens: f.Opens, roleSays: f.Says, roleList: f.List, roleNames: f.Names,
		roleReply: f.Reply, roleHost: f.Host, roleHostBefore: f.HostBefore,
		roleReturned: f.Returned, roleDelayed: f.Delayed, roleFailed: f.Failed,
		roleOther: f.Other, roleOriginal: f.Original, roleStop: f.Stop,
		roleTranscript: f.Transcript, roleSummary: f.Summary, roleEnd: f.End, roleAgainst: f.Against, roleAside: f.Aside, roleDetails: f.Details,
		roleInstead: f.Instead, roleGot: f.Got,
	}
}

// cue is a sign in the header that a message is, or is not, a bounce. It matches if one of
// local, empty, present, begin and any does.
type cue struct {
	Line    toml.Line
	Name    string
	Header  []string // the fields that it looks at
	Local   []string // the local part of the address is one of these
	Empty   bool     // there is no address: "<>", or nothing
	Present bool     // the field is there
	Begin   []string // the value begins with one of these
	Any     []string // the value contains one of these
	Weight  int
	Machine bool // a mail system wrote the message
	Daemon  bool // under its own name
	Null    bool // with a null sender
	Spares  bool // does not count if a daemon wrote the message and the text shows a bounce
	Robot   bool // some program wrote it
	Delayed bool // the program will try again
	Gate    bool // a message with it is worth reading, see [Gate]
	Person  bool // people write this too: the text must have a sentence that only one program writes

	number int // in its cueSet
}

// Data is the contents of the data files: about notices, about automatic replies, and
// about the headers of both. It does not change after loading, and is safe for
// concurrent use.
type Data struct {
	cues    cueSet
	phrases *phraseIndex[role]

	// headerStart are the fields that begin a returned message in a text.
	headerStart map[string]bool
	// idFields are the fields with message ids, which look like addresses.
	idFields map[string]bool
	weights  weights
	around   around

	replies autoReplies
	gate    gateData
}

// weights say how the signs of a bounce are added up.
type weights struct {
	Threshold int // score from which on a message is a bounce

	// What the text adds.
	Opens    int // a sentence that only one program writes
	Says     int // a sentence that says that mail failed
	MostSays int `toml:"most_says"` // how many of those count
	Reply    int // a quoted refusal of a server
	Returned int // the returned message follows in the text
	Against  int // each sentence that speaks against a bounce

	// What the score of the header alone decides.
	Suffices  int // from this score up the text need only name an address
	Addressee int // from this score up a notice may be about the address that it was sent to
	Refuses   int // from this score down the message is not a bounce, whatever it quotes
}

// around lists what stands around addresses and hosts, in lower case.
type around struct {
	Joins    []string // at most one of these between a phrase and the address that it announces
	Between  []string // then one of these
	Before   []string // before an address that is alone on its line
	Behind   []string // before an address that ends its line, whatever is before that
	After    []string // after the address of a recipient in brackets
	Expanded []string // after an address that begins a paragraph
	Sentence []string // in a sentence with the address of a recipient
	Command  []string // right before the address of a recipient, anywhere
	Summary  []string // the field with the recipient in a summary of the message
	Date     []string // after a name, before a date
	Host     []string // between a domain and the host that answers for it
	Dialogue []string // a line that begins with one belongs to a dialogue or leads to one
}

// dataFile is the form of every data file except autoreply.toml.
type dataFile struct {
	Format  []format
	Cue     []cue
	Weights weights
	Around  around
	Text    struct {
		HeaderStart []string `toml:"header_start"`
		IDFields    []string `toml:"id_fields"`
	}
}

//go:embed data/*.toml
var dataFiles embed.FS

// Load reads the embedded data and an administrator's files. The error lists every
// problem, each with file and line. Load returns the examples of all formats and does not
// test them.
func Load(own ...File) (*Data, []Example, error) {
	d, formats, examples, err := load(dataFiles, own)
	for i := range formats {
		examples = append(examples, formats[i].examples("")...)
	}
	return d, examples, err
}

// autoReplyFile is the only file with another form than dataFile.
const autoReplyFile = "data/autoreply.toml"

// load reads the files in data/, and an administrator's. It returns the built-in formats,
// and the examples of the administrator's.
func load(fsys fs.FS, own []File) (*Data, []format, []Example, error) {
	d := &Data{phrases: &phraseIndex[role]{}, headerStart: map[string]bool{}, idFields: map[string]bool{}}
	var formats []format
	l := toml.Loader{FS: fsys}
	names, err := fs.Glob(fsys, "data/*.toml")
	if err != nil {
		l.Complain(0, "%v", err)
	}
	for _, name := range names {
		if name == autoReplyFile {
			continue
		}
		var f dataFile
		l.Read(name, &f)
		d.add(&l, &f)
		formats = append(formats, f.Format...)
	}
	if d.weights.Threshold <= 0 || len(d.around.Dialogue) == 0 {
		l.Complain(0, "[weights] with a threshold, or [around] with a dialogue, is in no file: add it")
	}
	d.replies = loadAutoReplies(&l)
	examples := d.addOwn(&l, own)
	if err := l.Err(); err != nil {
		return nil, nil, nil, err
	}
	d.gate = makeGate(&d.cues, &d.replies)
	return d, formats, examples, nil
}

// add adds the contents of one file.
func (d *Data) add(l *toml.Loader, f *dataFile) {
	for i := range f.Cue {
		d.cues.load(l, &f.Cue[i])
	}
	for i := range f.Format {
		for r, phrases := range f.Format[i].roles() {
			addPhrases(l, d.phrases, phrases, r)
		}
	}
	if f.Weights.Threshold != 0 {
		d.weights = f.Weights
	}
	if f.Around.Joins != nil {
		d.around = f.Around
	}
	for _, name := range f.Text.HeaderStart {
		d.headerStart[strings.ToLower(name)] = true
	}
	for _, name := range f.Text.IDFields {
		d.idFields[strings.ToLower(name)] = true
	}
}

// addPhrases adds the phrases of a list.
func addPhrases[T ~uint32](l *toml.Loader, x *phraseIndex[T], phrases []toml.Text, bits T) {
	for _, p := range phrases {
		if err := x.add(p.S, bits); err != nil {
			l.Complain(toml.Line(p.Line), "%v", err)
		}
	}
}

// load adds a cue after checking it.
func (s *cueSet) load(l *toml.Loader, c *cue) {
	for _, name := range c.Header {
		if len(name) > maxFieldName {
			l.Complain(c.Line, "cue %q looks at a field whose name has %d octets: the maximum is %d", c.Name, len(name), maxFieldName)
			return
		}
	}
	words := 0
	for _, list := range [][]string{c.Local, c.Begin, c.Any} {
		for _, p := range list {
			if foldPhrase(p) == "" {
				l.Complain(c.Line, "cue %q has %q, in which nothing is left to compare", c.Name, p)
				return
			}
			words++
		}
	}
	switch {
	case words == 0 && !c.Empty && !c.Present:
		l.Complain(c.Line, "cue %q never matches: give it local, begin, any, empty or present", c.Name)
	case c.Weight == 0 && !c.Gate:
		l.Complain(c.Line, "cue %q never counts: give it a weight, or gate = true", c.Name)
	}
	s.add(c)
}
