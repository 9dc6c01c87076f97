package maillog

import (
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/lines"
)

// Bounds on one line, in octets. Longer lines and strings are cut.
const (
	maxLine  = 64 << 10
	maxWords = 8 << 10 // of Words
	maxValue = 512     // of any other string
)

// maxRecipients bounds the recipients of one line: Sendmail lists many.
const maxRecipients = 1000

// Parser reads lines. The zero Parser is ready to use. It remembers the pieces of lines
// that were split, so it is not safe for concurrent use.
type Parser struct {
	// Format is the only format to look for, "" for all of them.
	Format Format
	// Location is the time zone of time stamps without one, nil for the local zone.
	Location *time.Location
	// Latest is the latest time that a time stamp without a year may mean, give or take a
	// day; a zero Latest means now. For a file, its time of last change is best.
	Latest time.Time

	pieces joiner
}

// Append reads a line, with or without its line end, and appends what it says to dst: one
// entry for each recipient. Most lines say nothing about a delivery and add no entry.
func (p *Parser) Append(dst []Entry, line []byte) []Entry {
	if !isCandidate(line) {
		return dst
	}
	l, ok := p.read(line)
	if !ok {
		return dst
	}
	if l.piece.of > 0 {
		if l, ok = p.pieces.join(l); !ok {
			return dst
		}
	}
	return p.entries(dst, &l)
}

// read takes a line apart into what syslog adds and the message.
func (p *Parser) read(line []byte) (logLine, bool) {
	if len(line) > maxLine {
		line = line[:maxLine]
	}
	s := strings.TrimRight(string(line), "\r\n")
	if strings.HasPrefix(s, "{") {
		return readJournal(s)
	}
	return readSyslog(s)
}

// entries reads the message of a line.
func (p *Parser) entries(dst []Entry, l *logLine) []Entry {
	n := len(dst)
	for _, f := range [...]struct {
		format Format
		read   func([]Entry, *logLine) []Entry
	}{{Postfix, appendPostfix}, {Sendmail, appendSendmail}, {Exim, appendExim}} {
		if p.Format != "" && p.Format != f.format {
			continue
		}
		if dst = f.read(dst, l); len(dst) > n {
			break
		}
	}
	if len(dst) == n {
		return dst
	}
	when := l.stamp.time(p)
	for i := range dst[n:] {
		e := &dst[n+i]
		e.Time, e.Host, e.Program, e.PID = when, value(l.host), value(l.program), value(l.pid)
		e.QueueID, e.Recipient, e.Original = value(e.QueueID), value(e.Recipient), value(e.Original)
		e.Relay, e.RelayAddress = value(e.Relay), value(e.RelayAddress)
		e.Reply, e.Words = clean(e.Reply, maxWords), clean(e.Words, maxWords)
		if e.Reply != "" {
			e.Code = reply.Parse(e.Reply).Code
		}
		if strings.EqualFold(e.Original, e.Recipient) {
			e.Original = ""
		}
	}
	return dst
}

// value cleans a short string.
func value(s string) string { return clean(s, maxValue) }

// clean cuts a string to so many octets, and replaces control characters and what is not
// UTF-8.
func clean(s string, limit int) string {
	s = lines.Cut(s, limit)
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f {
			// A replacement is longer than the octet that it stands for.
			return lines.Cut(printable(s), limit)
		}
	}
	return s
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
