package notice

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// maxReplyText is how many octets of a reply's text are searched for words: people's own
// words come first, and what they answer follows.
const maxReplyText = 4 << 10

// IsAutoReply reports whether a message is an automatic reply to a person's mail, such as
// vacation(1) sends (RFC 3834). It goes by the header, which alone may suffice, then by
// the words. Call it only for a message that is not a bounce, because bounces have
// Auto-Submitted too.
func (data *Data) IsAutoReply(h Header, text string) bool {
	d := &data.replies
	score := 0
	d.cues.each(h, func(c *cue) { score += c.Weight })
	switch {
	case score >= d.threshold:
		return true
	case score <= 0 || score+d.most() < d.threshold:
		return false
	}
	switch said := d.phrases.has(unquoted(text)); {
	case said&saysSure != 0:
		return score+d.sure >= d.threshold
	case said&saysAny != 0:
		return score+d.words >= d.threshold
	}
	return false
}

// unquoted returns the beginning of a text, folded and in lower case, without
// the lines that quote another message.
func unquoted(text string) []byte {
	var orig, low []byte
	text = cut(text, maxReplyText)
	for len(text) > 0 {
		line := text
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i+1], text[i+1:]
		} else {
			text = ""
		}
		if !strings.HasPrefix(line, ">") {
			orig, low = foldText(orig, low, line)
		}
	}
	return low
}

// autoReplies is the data about automatic replies.
type autoReplies struct {
	cues      cueSet
	subject   cueSet // of the Subjects that only automatic replies have
	phrases   *phraseIndex[uint32]
	threshold int // score from which on a message is an automatic reply
	words     int // what a phrase in the text adds to the score
	sure      int // what a phrase adds that only the absent person, or their program, writes
}

// What a phrase in the text says.
const (
	saysAny uint32 = 1 << iota
	saysSure
)

// most returns the most that words can add to the score.
func (d *autoReplies) most() int { return max(d.words, d.sure) }

// autoReplyData is the form of the data file.
type autoReplyData struct {
	Threshold, Subject, Maybe, Words, Sure int

	Cue      []cue
	Language []struct {
		Name    string
		Subject []string    // beginnings of the Subject
		Maybe   []string    // beginnings of the Subject that people write too
		Any     []toml.Text // phrases in the text
		Sure    []toml.Text // phrases that only the absent person writes
	}
}

func loadAutoReplies(l *toml.Loader) autoReplies {
	var f autoReplyData
	l.Read(autoReplyFile, &f)
	d := autoReplies{phrases: &phraseIndex[uint32]{}, threshold: f.Threshold, words: f.Words, sure: f.Sure}
	if d.threshold <= 0 || d.words <= 0 || d.sure <= 0 {
		l.Complain(0, "threshold, words and sure must be above 0")
	}
	subject := cue{Name: "subject", Header: []string{"Subject"}, Weight: f.Subject}
	maybe := cue{Name: "maybe", Header: []string{"Subject"}, Weight: f.Maybe, Gate: true}
	for _, lang := range f.Language {
		for _, s := range lang.Subject {
			subject.Begin = append(subject.Begin, s, "["+s, "("+s)
		}
		maybe.Begin = append(maybe.Begin, lang.Maybe...)
		addPhrases(l, d.phrases, lang.Any, saysAny)
		addPhrases(l, d.phrases, lang.Sure, saysSure)
	}
	for _, c := range append(f.Cue, subject, maybe) {
		d.cues.load(l, &c)
	}
	d.subject.load(l, &subject)
	return d
}

// Answers reports whether the Subject is one that only automatic replies have. Such a
// reply may say, as a bounce does, that the mail was not passed on.
func (d *Data) Answers(h Header) bool {
	answers := false
	d.replies.subject.each(h, func(*cue) { answers = true })
	return answers
}
