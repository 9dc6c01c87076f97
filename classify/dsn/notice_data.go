package dsn

import (
	"embed"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

//go:embed data/*.toml
var noticeFiles embed.FS

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

// noticeFormat is what the data say of one kind of notice.
type noticeFormat struct {
	Name  string `toml:"name"`
	About string `toml:"about"`

	// ByAddress tells that the program writes by each address whatever it knows
	// of it: the rest is a form letter.
	ByAddress bool `toml:"by_address"`

	Opens      []string `toml:"opens"`
	Says       []string `toml:"says"`
	List       []string `toml:"list"`
	Names      []string `toml:"names"`
	Reply      []string `toml:"reply"`
	Host       []string `toml:"host"`
	HostBefore []string `toml:"host_before"`
	Returned   []string `toml:"returned"`
	Delayed    []string `toml:"delayed"`
	Failed     []string `toml:"failed"`
	Other      []string `toml:"other"`
	Original   []string `toml:"original"`
	Stop       []string `toml:"stop"`
	Transcript []string `toml:"transcript"`
	Summary    []string `toml:"summary"`
	End        []string `toml:"end"`
	Against    []string `toml:"against"`
	Aside      []string `toml:"aside"`
	Details    []string `toml:"details"`

	Example []noticeExample `toml:"example"`
}

// noticeExample is a notice, or the telling part of one, and what it must be
// read as.
type noticeExample struct {
	From    string   `toml:"from"`
	Subject string   `toml:"subject"`
	Failed  string   `toml:"failed_recipients"`
	Text    string   `toml:"text"`
	Want    []string `toml:"want"` // one recipient each: address, action, SMTP code, status, the reply's words
}

func (f *noticeFormat) roles() map[role][]string {
	opens := roleOpens
	if f.ByAddress {
		opens |= roleForm
	}
	return map[role][]string{
		opens: f.Opens, roleSays: f.Says, roleList: f.List, roleNames: f.Names,
		roleReply: f.Reply, roleHost: f.Host, roleHostBefore: f.HostBefore,
		roleReturned: f.Returned, roleDelayed: f.Delayed, roleFailed: f.Failed,
		roleOther: f.Other, roleOriginal: f.Original, roleStop: f.Stop,
		roleTranscript: f.Transcript, roleSummary: f.Summary, roleEnd: f.End, roleAgainst: f.Against, roleAside: f.Aside, roleDetails: f.Details,
	}
}

// noticeCue is a sign in the header that a message is, or is not, a bounce.
type noticeCue struct {
	Name    string   `toml:"name"`
	Header  []string `toml:"header"`
	Local   []string `toml:"local"`   // local part of the address
	Empty   bool     `toml:"empty"`   // no address: "<>", or nothing
	Present bool     `toml:"present"` // the field is there
	Begin   []string `toml:"begin"`   // the value begins so
	Any     []string `toml:"any"`     // the value contains this
	Weight  int      `toml:"weight"`
	Machine bool     `toml:"machine"` // a mail system wrote the message
	Daemon  bool     `toml:"daemon"`  // by its own account
	Null    bool     `toml:"null"`    // with the null sender
	Spares  bool     `toml:"spares"`  // says nothing where a daemon sends on, or from, a list
	Robot   bool     `toml:"robot"`   // some program wrote it
	Delayed bool     `toml:"delayed"` // the program will try again
	Gate    bool     `toml:"gate"`    // a message with it is worth reading, see [Gate]
	Person  bool     `toml:"person"`  // people write so, too: a sentence is wanted that only one mail system writes

	number int // in its cueSet
}

// noticeData is all that the data files say about notices.
type noticeData struct {
	formats []noticeFormat
	cues    cueSet
	phrases *phraseIndex[role]

	// headerStart names fields that begin a returned message in mid-text.
	headerStart map[string]bool
	// idFields names fields of message ids, which look like addresses.
	idFields map[string]bool
	weights  weights
	around   around
}

// weights tell how the signs of a bounce are added up.
type weights struct {
	Threshold int `toml:"threshold"` // score from which a message is a bounce

	// What the text adds.
	Opens    int `toml:"opens"`     // a sentence that only one program writes
	Says     int `toml:"says"`      // a sentence that says that mail failed
	MostSays int `toml:"most_says"` // so many of those count
	Reply    int `toml:"reply"`     // a server's refusal is quoted
	Returned int `toml:"returned"`  // the returned message follows in the text
	Against  int `toml:"against"`   // each sentence that speaks against a bounce

	// What the header alone decides, by its score.
	Suffices  int `toml:"suffices"`  // from here on the text need only name an address
	Addressee int `toml:"addressee"` // from here on a notice may be about the address that it was sent to
	Refuses   int `toml:"refuses"`   // down from here the message is no bounce, whatever it quotes
}

// around lists what stands around addresses and hosts, in lower case.
type around struct {
	Joins    []string `toml:"joins"`    // at most one between a phrase and the address that it announces
	Between  []string `toml:"between"`  // and these behind it
	Before   []string `toml:"before"`   // before an address that has a line to itself
	Behind   []string `toml:"behind"`   // before an address that ends its line, whatever stands there
	After    []string `toml:"after"`    // behind the address of a recipient, in brackets
	Expanded []string `toml:"expanded"` // behind an address that opens a paragraph
	Command  []string `toml:"command"`  // right before the address of a recipient, anywhere
	Summary  []string `toml:"summary"`  // field of a summary of the message that names whom it was for
	Date     []string `toml:"date"`     // behind a name: a date follows
	Host     []string `toml:"host"`     // between a domain and the host that answers for it
	Dialogue []string `toml:"dialogue"` // a line that begins so is one of a dialogue or leads to one
}

// noticeFile is the form of a data file.
type noticeFile struct {
	Format  []noticeFormat `toml:"format"`
	Cue     []noticeCue    `toml:"cue"`
	Weights weights        `toml:"weights"`
	Around  around         `toml:"around"`
	Text    struct {
		HeaderStart []string `toml:"header_start"`
		IDFields    []string `toml:"id_fields"`
	} `toml:"text"`
}

// notices returns the data, read once. They are part of the program and a test
// reads them, so an error cannot be met at run time; should it be, no notice
// is recognised.
var notices = sync.OnceValue(func() *noticeData {
	d, err := loadNotices()
	if err != nil {
		return &noticeData{phrases: &phraseIndex[role]{}, weights: weights{Threshold: 1 << 30}}
	}
	return d
})

func loadNotices() (*noticeData, error) {
	d := &noticeData{phrases: &phraseIndex[role]{}, headerStart: map[string]bool{}, idFields: map[string]bool{}}
	files, err := noticeFiles.ReadDir("data")
	if err != nil {
		return nil, fmt.Errorf("reading notice data: %w", err)
	}
	for _, file := range files {
		if !strings.HasPrefix(file.Name(), "notice-") {
			continue
		}
		b, err := noticeFiles.ReadFile("data/" + file.Name())
		if err != nil {
			return nil, fmt.Errorf("reading notice data: %w", err)
		}
		var f noticeFile
		dec := toml.NewDecoder(strings.NewReader(string(b))).DisallowUnknownFields()
		if err := dec.Decode(&f); err != nil {
			return nil, fmt.Errorf("parsing %s: %w", file.Name(), err)
		}
		d.formats = append(d.formats, f.Format...)
		for i := range f.Cue {
			d.cues.add(&f.Cue[i])
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
	if d.weights.Threshold <= 0 || len(d.around.Dialogue) == 0 {
		return nil, errors.New("reading notice data: no file has [weights] with a threshold, or none has [around]")
	}
	for i := range d.formats {
		f := &d.formats[i]
		for r, phrases := range f.roles() {
			for _, p := range phrases {
				if err := d.phrases.add(p, r); err != nil {
					return nil, fmt.Errorf("format %s: %w", f.Name, err)
				}
			}
		}
	}
	return d, nil
}
