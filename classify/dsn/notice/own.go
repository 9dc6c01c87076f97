package notice

import (
	"fmt"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Limits on what an administrator may add.
const (
	maxOwnFormats = 200
	maxOwnCues    = 100
	maxOwnPhrase  = 500 // octets of one phrase
	maxOwnWeight  = 12  // no built-in cue weighs more
)

// File is an administrator's file. Its sections [[format]] and [[cue]] have the same form
// as in the folder data; the other sections are for package rules.
type File struct {
	Name string
	Data []byte
}

// Example is an example of a format.
type Example struct {
	Format  string
	File    string // the administrator's, "" if it is built in
	Line    int
	Message []byte
	Want    []string // for each recipient: address, action, SMTP code, status, the reply's words
}

// ownFile is the part of an administrator's file that is read here.
type ownFile struct {
	Format []format
	Cue    []cue
}

// addOwn adds the phrases and cues of an administrator's files to the built-in ones, and
// returns the examples of their formats.
func (d *Data) addOwn(l *toml.Loader, files []File) []Example {
	var examples []Example
	formats, cues := map[string]string{}, 0
	for _, file := range files {
		var f ownFile
		l.Part(file.Name, file.Data, &f, "format", "cue")
		for i := range f.Cue {
			if cues++; cues == maxOwnCues+1 {
				l.Complain(f.Cue[i].Line, "cue %q is one too many: you can add %d", f.Cue[i].Name, maxOwnCues)
			}
			checkOwnCue(l, &f.Cue[i])
		}
		for i := range f.Format {
			t := &f.Format[i]
			switch first := formats[t.Name]; {
			case t.Name == "":
				l.Complain(t.Line, "a format needs a name")
			case first != "":
				l.Complain(t.Line, "format %q is there twice, first at %s", t.Name, first)
			case len(formats) == maxOwnFormats:
				l.Complain(t.Line, "format %q is one too many: you can add %d", t.Name, maxOwnFormats)
			}
			formats[t.Name] = fmt.Sprintf("%s:%d", file.Name, t.Line)
			checkOwnFormat(l, t)
			examples = append(examples, t.examples(file.Name)...)
		}
		d.add(l, &dataFile{Format: f.Format, Cue: f.Cue})
	}
	return examples
}

// checkOwnCue checks what may be wrong with an administrator's cue.
func checkOwnCue(l *toml.Loader, c *cue) {
	switch {
	case c.Name == "":
		l.Complain(c.Line, "a cue needs a name")
	case len(c.Header) == 0:
		l.Complain(c.Line, "cue %q looks at no field: give it header, a list of names of fields", c.Name)
	case c.Weight < -maxOwnWeight || c.Weight > maxOwnWeight:
		l.Complain(c.Line, "cue %q weighs %d: write a weight from -%d to %[3]d", c.Name, c.Weight, maxOwnWeight)
	}
	for _, name := range c.Header {
		// RFC 5322 section 2.2: printable ASCII but the colon.
		if strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r == ':' || r > '~' }) >= 0 {
			l.Complain(c.Line, "cue %q looks at %q, which is no name of a field: write it as in \"Subject\", without a colon", c.Name, name)
		}
	}
	for _, list := range [][]string{c.Local, c.Begin, c.Any} {
		for _, p := range list {
			if len(p) > maxOwnPhrase {
				l.Complain(c.Line, "cue %q has a phrase of %d octets: the maximum is %d", c.Name, len(p), maxOwnPhrase)
			}
		}
	}
}

// checkOwnFormat checks what may be wrong with an administrator's format.
func checkOwnFormat(l *toml.Loader, f *format) {
	count := 0
	for _, phrases := range f.roles() {
		for _, p := range phrases {
			if count++; len(p.S) > maxOwnPhrase {
				l.Complain(toml.Line(p.Line), "format %q has a phrase of %d octets: the maximum is %d", f.Name, len(p.S), maxOwnPhrase)
			}
		}
	}
	if count == 0 {
		l.Complain(f.Line, "format %q has no phrases", f.Name)
	}
	if len(f.Example) == 0 {
		l.Complain(f.Line, "format %q has no example: write a [[format.example]] with a message, and what it must be read as in want", f.Name)
	}
	for i := range f.Example {
		switch e := &f.Example[i]; {
		case e.Message == "" && e.Text == "":
			l.Complain(e.Line, "an example of format %q has neither message nor text", f.Name)
		case e.Message != "" && e.From+e.Subject+e.Failed+e.Text != "":
			l.Complain(e.Line, "an example of format %q has a whole message: remove from, subject, failed_recipients and text", f.Name)
		}
	}
}

// examples turns a format's examples into messages.
func (f *format) examples(file string) []Example {
	var list []Example
	for i := range f.Example {
		e := &f.Example[i]
		m := strings.TrimLeft(e.Message, "\r\n")
		if e.Message == "" {
			m = "From: " + e.From + "\nSubject: " + e.Subject + "\n"
			if e.Failed != "" {
				m += "X-Failed-Recipients: " + e.Failed + "\n"
			}
			m += "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + e.Text
		}
		list = append(list, Example{Format: f.Name, File: file, Line: int(e.Line), Message: []byte(m), Want: e.Want})
	}
	return list
}

// Lacks says what is missing to make a notice, whose header has this score, a bounce; ""
// if nothing is.
func (n *Notice) Lacks(head Score) string {
	switch {
	case !head.Machine && !head.Robot:
		return "no cue marked machine or robot matches its header"
	case !head.Machine && !n.opened:
		return "only a cue marked robot matches its header, none marked machine: then the text must have a phrase of opens"
	case head.person && !n.opened:
		return "people write such a header too (a cue marked person): then the text must have a phrase of opens"
	case !n.isBounce(head):
		return fmt.Sprintf("header and words weigh too little: the header weighs %d, and both together must weigh %d; found in the text: %s",
			head.score, n.d.weights.Threshold, n.counted())
	}
	return ""
}

// counted says which of its phrases were counted.
func (n *Notice) counted() string {
	found := []string{fmt.Sprintf("%d of says", n.says), fmt.Sprintf("%d of against", n.against)}
	if n.opened {
		found = append([]string{"one of opens"}, found...)
	}
	return strings.Join(found, ", ")
}
