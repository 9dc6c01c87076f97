package notice

import (
	"embed"
	"io/fs"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// role is what a phrase of a notice tells the reader; a phrase may have several.
type role uint32

const (
	roleOpens      role = 1 << iota // a sentence that only this program writes
	roleSays                        // a sentence that says that mail failed
	roleList                        // recipients stand in the lines below
	roleNames                       // the address that comes next is a recipient
	roleReply                       // the remote server's words come next
	roleHost                        // the remote server's name comes next
	roleHostBefore                  // the remote server's name stands before
	roleReturned                    // a line that begins so begins the returned message
	roleDelayed                     // the program will try again
	roleFailed                      // the program has given up
	roleOther                       // the address that comes next is no recipient
	roleOriginal                    // the address that comes next is the recipient as the sender wrote it
	roleStop                        // nothing after this is about a recipient
	roleTranscript                  // an SMTP dialogue begins, the list of recipients ends
	roleSummary                     // a summary of the message follows, all about recipients is said
	roleEnd                         // the remote server's words end before it
	roleAgainst                     // spam that imitates a notice says so, or a notice of success
	roleForm                        // only a program writes so that says by each address what it knows of it
	roleDetails                     // whom the mail was really for stands below, with what was said of him
	roleAside                       // a sentence that holds it says nothing about the failure
)

// format is what the data say of one kind of notice.
type format struct {
	Line  toml.Line
	Name  string
	About string

	// ByAddress tells that the program writes by each address whatever it knows
	// of it: the rest is a form letter.
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
	Details    []toml.Text

	Example []example
}

// example is a notice, or the telling part of one, and what it must be
// read as.
type example struct {
	Line    toml.Line
	From    string
	Subject string
	Failed  string `toml:"failed_recipients"`
	Text    string
	Message string   // all of it, header and body, in place of the others; an administrator's only
	Want    []string `toml:",empty"` // one recipient each: address, action, SMTP code, status, the reply's words
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
	}
}

// cue is a sign in the header that a message is, or is not, a bounce.
type cue struct {
	Line    toml.Line
	Name    string
	Header  []string
	Local   []string // local part of the address
	Empty   bool     // no address: "<>", or nothing
	Present bool     // the field is there
	Begin   []string // the value begins so
	Any     []string // the value contains this
	Weight  int
	Machine bool // a mail system wrote the message
	Daemon  bool // by its own account
	Null    bool // with the null sender
	Spares  bool // says nothing where a daemon sends on, or from, a list
	Robot   bool // some program wrote it
	Delayed bool // the program will try again
	Gate    bool // a message with it is worth reading, see [Gate]
	Person  bool // people write so, too: a sentence is wanted that only one mail system writes

	number int // in its cueSet
}

// Data is what the data files say: about notices, automatic replies, and what a header
// shows of either. It does not change once loaded, and serves any number of
// goroutines.
type Data struct {
	cues    cueSet
	phrases *phraseIndex[role]

	// headerStart names fields that begin a returned message in mid-text.
	headerStart map[string]bool
	// idFields names fields of message ids, which look like addresses.
	idFields map[string]bool
	weights  weights
	around   around

	replies autoReplies
	gate    gateData
}

// weights tell how the signs of a bounce are added up.
type weights struct {
	Threshold int // score from which a message is a bounce

	// What the text adds.
	Opens    int // a sentence that only one program writes
	Says     int // a sentence that says that mail failed
	MostSays int `toml:"most_says"` // so many of those count
	Reply    int // a server's refusal is quoted
	Returned int // the returned message follows in the text
	Against  int // each sentence that speaks against a bounce

	// What the header alone decides, by its score.
	Suffices  int // from here on the text need only name an address
	Addressee int // from here on a notice may be about the address that it was sent to
	Refuses   int // down from here the message is no bounce, whatever it quotes
}

// around lists what stands around addresses and hosts, in lower case.
type around struct {
	Joins    []string // at most one between a phrase and the address that it announces
	Between  []string // and these behind it
	Before   []string // before an address that has a line to itself
	Behind   []string // before an address that ends its line, whatever stands there
	After    []string // behind the address of a recipient, in brackets
	Expanded []string // behind an address that opens a paragraph
	Command  []string // right before the address of a recipient, anywhere
	Summary  []string // field of a summary of the message that names whom it was for
	Date     []string // behind a name: a date follows
	Host     []string // between a domain and the host that answers for it
	Dialogue []string // a line that begins so is one of a dialogue or leads to one
}

// dataFile is the form of every data file but autoreply.toml.
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

// Load reads the data, which are built in, and an administrator's files. The error says
// all that is wrong with them, each with file and line. The examples are those of all
// formats; nothing here tests them.
func Load(own ...File) (*Data, []Example, error) {
	d, formats, examples, err := load(dataFiles, own)
	for i := range formats {
		examples = append(examples, formats[i].examples("")...)
	}
	return d, examples, err
}

// autoReplyFile is the one file that is not of the form of the others.
const autoReplyFile = "data/autoreply.toml"

// load reads the data files below data/, and an administrator's. It returns the formats
// that are built in, and the examples of the others.
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

// add takes what one file says.
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

// addPhrases files the phrases of a list.
func addPhrases[T ~uint32](l *toml.Loader, x *phraseIndex[T], phrases []toml.Text, bits T) {
	for _, p := range phrases {
		if err := x.add(p.S, bits); err != nil {
			l.Complain(toml.Line(p.Line), "%v", err)
		}
	}
}

// load adds a cue, unless it could not be told from others or from nothing.
func (s *cueSet) load(l *toml.Loader, c *cue) {
	for _, name := range c.Header {
		if len(name) > maxFieldName {
			l.Complain(c.Line, "cue %q looks at a field whose name has %d octets, %d are the most", c.Name, len(name), maxFieldName)
			return
		}
	}
	words := 0
	for _, list := range [][]string{c.Local, c.Begin, c.Any} {
		for _, p := range list {
			if foldPhrase(p) == "" {
				l.Complain(c.Line, "cue %q holds %q, which is nothing when it is compared", c.Name, p)
				return
			}
			words++
		}
	}
	switch {
	case words == 0 && !c.Empty && !c.Present:
		l.Complain(c.Line, "cue %q never holds: give it local, begin, any, empty or present", c.Name)
	case c.Weight == 0 && !c.Gate:
		l.Complain(c.Line, "cue %q never counts: give it a weight, or gate = true", c.Name)
	}
	s.add(c)
}
