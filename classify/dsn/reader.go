package dsn

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/dsn/notice"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Reader reads messages. The zero Reader has the built-in formats of notices, as [Read]
// and the zero [Gate] do; [NewReader] adds others. A Reader does not change, and is safe
// for concurrent use.
type Reader struct {
	notices  *notice.Data // nil for the built-in data
	returned []string     // fields of returned messages to note
	source   bool         // hand out returned messages as they came
}

// maxNoted is how many fields of returned messages are noted.
const maxNoted = 100

// Returning returns a reader that notes these fields of returned messages too, up to a
// hundred.
func (r Reader) Returning(names ...string) Reader {
	r.returned = slices.Clone(names[:min(len(names), maxNoted)])
	return r
}

// WithSource returns a reader that hands out returned messages as they came too.
func (r Reader) WithSource() Reader {
	r.source = true
	return r
}

// File is a file with formats of notices: TOML with the sections [[format]] and [[cue]],
// which docs/rules.md in the repository describes. Other sections are ignored.
type File struct {
	Name string // for messages
	Data []byte
}

// NewReader returns a reader with the built-in formats and those of the files. The error
// lists every problem of the files, each with file and line. It does not test the
// examples of the formats; [CheckFiles] does.
func NewReader(files ...File) (Reader, error) {
	if len(files) == 0 {
		return Reader{}, nil // what is built in is read when it is needed
	}
	r, _, err := readFiles(files)
	return r, err
}

func readFiles(files []File) (Reader, []notice.Example, error) {
	if err := Load(); err != nil {
		return Reader{}, nil, err
	}
	var own []notice.File
	for _, f := range files {
		own = append(own, notice.File(f))
	}
	d, examples, err := notice.Load(own...)
	if err != nil {
		return Reader{}, nil, fmt.Errorf("reading formats of notices: %w", err)
	}
	return Reader{notices: d}, examples, nil
}

// CheckFiles returns every problem of the files, as [NewReader] does, and tests their
// examples: each must be read as it says, and the daemon's gate must open to it. If a
// header has no Return-Path, its From counts as the envelope sender. The examples of the
// built-in formats must be read the same as without the files.
func CheckFiles(files ...File) error {
	r, examples, err := readFiles(files)
	if err != nil {
		return err
	}
	var problems toml.Problems
	for i := range examples {
		e := &examples[i]
		if e.File == "" {
			if file := spoils(files, r, e); file != "" {
				problems = append(problems, toml.Problem{File: file, Message: fmt.Sprintf(
					"an example of the built-in format %q is read as %s because of this file, and as %s without it: make phrases longer, or weights smaller",
					e.Format, toml.QuoteList(r.read(e)), toml.QuoteList(Reader{}.read(e)))})
			}
		} else if wrong := r.check(e); wrong != "" {
			problems = append(problems, toml.Problem{File: e.File, Line: e.Line, Message: fmt.Sprintf("format %q: %s", e.Format, wrong)})
		}
	}
	problems.Sort()
	return problems.Err()
}

// spoils returns the name of the file that changes how a built-in example is read, "" if
// none does.
func spoils(files []File, all Reader, e *notice.Example) string {
	want := Reader{}.read(e)
	if len(files) == 0 || slices.Equal(all.read(e), want) {
		return ""
	}
	for _, f := range files[1:] {
		if r, _, err := readFiles([]File{f}); err == nil && !slices.Equal(r.read(e), want) {
			return f.Name
		}
	}
	return files[0].Name
}

// read returns the recipients of an example.
func (r Reader) read(e *notice.Example) []string {
	var list []string
	rep := r.Read(context.Background(), e.Message, Limits{})
	for i := range rep.Recipients {
		list = append(list, brief(&rep.Recipients[i]))
	}
	return list
}

// check says what is wrong with an example, "" if nothing is.
func (r Reader) check(e *notice.Example) string {
	h, _ := readHeader(nil, normalize(e.Message), DefaultLimits(), false)
	if h = mendHeader(h); len(e.Want) > 0 && !r.lets(h) {
		return "the daemon would not read its example, because no cue with gate = true matches its header: " +
			"add one, or begin the message with the Return-Path that it came with"
	}
	got := r.read(e)
	switch {
	case slices.Equal(got, e.Want):
		return ""
	case len(got) == 0:
		kind := string(r.Read(context.Background(), e.Message, Limits{}).Kind)
		return "its example is not read as a bounce: " + cmp.Or(r.lacks(e.Message), "its kind is "+kind)
	}
	return "its example is read differently: write want = " + toml.QuoteList(got) + " if that is right"
}

// lets reports whether the daemon would read a message with such a header.
func (r Reader) lets(h header) bool {
	g := r.Gate()
	if h.raw("Return-Path") == nil {
		g.Field([]byte("Return-Path"), []byte("<"+Address(string(h.raw("From")))+">"))
	}
	for i := range h {
		g.Field(h[i].name, h[i].value)
	}
	return g.Open()
}

// lacks says why a message is not a bounce in words, "" if it is one.
func (r Reader) lacks(msg []byte) string {
	q := reading{notices: r.known(), lim: DefaultLimits(), rep: &Report{}}
	top, body := readHeader(nil, normalize(msg), q.lim, false)
	q.top = mendHeader(top)
	q.tree = tree{lim: q.lim}
	q.tree.walk(q.top, body, 0, false)
	return q.folded(q.words()).Lacks(q.sender())
}

// brief writes a recipient in the form of `want` in the examples of formats.
func brief(r *Recipient) string {
	code := ""
	if r.SMTPCode != 0 {
		code = fmt.Sprint(r.SMTPCode)
	}
	return strings.Join([]string{r.Address, string(r.Action), code, r.Status.String(), r.Diagnostic}, "|")
}

func (r Reader) known() *notice.Data {
	if r.notices == nil {
		return notices()
	}
	return r.notices
}
