package dsn

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// results are the recipients of a report so far, filed so that a group that
// says the same of the same recipient once more is found at once.
//
// An alias may have several fates: Exim and Sendmail write a group for each, all
// with the alias as Final-Recipient, and each is a result of its own.
type results struct {
	list  []Recipient
	first map[string]int // the first result of an address, in lower case
	exact map[result]int // by all that tells two results apart
}

// result is what tells a result from another one, in lower case.
type result struct {
	address, actual, diagnostic string

	action Action
	status reply.Status
}

// newResults takes the results of so many groups, after those that are known. One
// group alone has nothing that it could be compared with.
func newResults(known []Recipient, groups int) *results {
	rs := &results{list: append(make([]Recipient, 0, len(known)+groups), known...)}
	if groups > 1 {
		rs.first, rs.exact = map[string]int{}, map[result]int{}
	}
	return rs
}

// add files what a group says. actual is whom an alias led to, "" where the
// group does not say.
//
// QUIRK: the same recipient twice, once with the reply and once without:
// MailMarshal, and reports that a gateway pasted together.
func (rs *results) add(r Recipient, actual string) {
	key := strings.ToLower(r.Address)
	if key == "" || rs.exact == nil {
		rs.list = append(rs.list, r)
		return
	}
	if strings.EqualFold(actual, r.Address) {
		actual = ""
	}
	full := result{key, strings.ToLower(actual), strings.ToLower(r.Diagnostic), r.Action, r.Status}
	if i, ok := rs.exact[full]; ok {
		merge(&rs.list[i], &r)
		return
	}
	if i, ok := rs.first[key]; ok && actual == "" && rs.list[i].sameAs(&r) {
		merge(&rs.list[i], &r)
		rs.exact[full] = i
		return
	}
	rs.exact[full] = len(rs.list)
	if _, ok := rs.first[key]; !ok {
		rs.first[key] = len(rs.list)
	}
	rs.list = append(rs.list, r)
}

// sameAs reports whether two groups about one address are about one result: one
// of them says nothing that the other does not.
func (r *Recipient) sameAs(other *Recipient) bool {
	return r.Action == other.Action && (r.Diagnostic == "" || other.Diagnostic == "") &&
		(r.Status == other.Status || !r.Status.Telling() || !other.Status.Telling())
}

// merge adds what a second group says of the same result.
func merge(to, from *Recipient) {
	if to.Diagnostic == "" {
		to.Diagnostic, to.DiagnosticType, to.said = from.Diagnostic, from.DiagnosticType, from.said
	}
	if from.Status.TellsMore(to.Status) {
		to.Status = from.Status
	}
	if to.SMTPCode == 0 {
		to.SMTPCode = from.SMTPCode
	}
	if to.RemoteMTA == "" {
		to.RemoteMTA = from.RemoteMTA
	}
	if to.Original == "" {
		to.Original = from.Original
	}
	if to.Notice == "" {
		to.Notice = from.Notice
	}
}

// complete gives a reply the lines that its field lacks and, where the reporting
// server made the reply itself, what it wrote in the transcript beside it.
//
// QUIRK: Sendmail copies the first line of a reply into Diagnostic-Code; all
// lines stand in the transcript ("<<<"). Of an error of its own it copies the
// class ("553 5.3.5 system config error") and leaves the error to the transcript.
func (r *reading) complete(rcpt *Recipient, unfinished bool) {
	if !unfinished && rcpt.RemoteMTA != "" || rcpt.SMTPCode == 0 || rcpt.DiagnosticType != "smtp" || rcpt.Action != "" && !rcpt.Action.Bounced() {
		return
	}
	if !r.hasDialogue(rcpt.SMTPCode) {
		return
	}
	found := r.evidence(rcpt.Address)
	said := found.Reply
	switch {
	case said.Code != rcpt.SMTPCode:
	case unfinished && strings.HasPrefix(said.Text, rcpt.Diagnostic):
		rcpt.quote(said)
		rcpt.Status = betterStatus(said.Status, rcpt.Status)
	case unfinished || rcpt.Notice != "":
	case found.Transcript != "" && !strings.HasPrefix(found.Transcript, rcpt.Diagnostic):
		rcpt.Notice = found.Transcript
	case !strings.HasPrefix(said.Text, rcpt.Diagnostic):
		rcpt.Notice = said.Text
	}
}

// hasDialogue reports whether the words of the message may hold the lines of an
// SMTP dialogue in which a code was answered. It only looks for them, which costs
// little beside reading them: most reports have none.
func (r *reading) hasDialogue(code int) bool {
	answer := strconv.Itoa(code)
	if !r.haveWords && !r.mayHaveDialogue(answer) {
		return false
	}
	words := r.words()
	return strings.Contains(words, "<<<") || strings.Contains(words, "\n"+answer)
}

// mayHaveDialogue looks into the octets of the parts, for most are words as they
// stand: it is false only where reading the words would find no dialogue.
func (r *reading) mayHaveDialogue(answer string) bool {
	for i := range r.tree.parts {
		p := &r.tree.parts[i]
		switch {
		case p.kind.returned():
			return false
		case p.kind.name == "text/html":
			return true
		case p.side || !p.kind.isWords():
			continue
		case !p.identity():
			return true
		}
		b := p.body[:min(len(p.body), maxText)]
		if !r.work.Take(len(b)/4 + 20) {
			return false
		}
		if bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n\uFEFF"), []byte("<")) || bytes.HasPrefix(b, []byte(answer)) ||
			bytes.Contains(b, []byte("<<<")) || bytes.Contains(b, []byte("\n"+answer)) {
			return true
		}
	}
	return false
}

// isUnfinished reports whether a reply of many lines (RFC 5321 section 4.2.1) has
// no last one: "550-5.7.26 …" and no "550 …" after it.
func isUnfinished(said string) bool {
	if len(said) < 4 || reply.ParseCode(said[:3]) == 0 || said[3] != '-' {
		return false
	}
	return !strings.Contains(said[4:], " "+said[:3]+" ")
}

// statusWords returns what a Status field says beside its code, "" if nothing.
//
// QUIRK: Haraka writes no Diagnostic-Code for what went wrong before a server
// refused: "Status: 5.1.2 (550 Tried all MXs)"; RFC 3464 section 2.3.4 allows a
// comment there.
func statusWords(value string) string {
	i := 0
	for i < len(value) && (ascii.IsDigit(value[i]) || value[i] == '.' || ascii.IsBlank(rune(value[i]))) {
		i++
	}
	s := strings.TrimLeft(value[i:], " \t-:;,")
	if strings.HasPrefix(s, "(") {
		s = strings.TrimSuffix(strings.TrimSpace(s[1:]), ")")
	}
	for j := 1; j < len(s); j++ {
		if isWordOctet(s[j]) && isWordOctet(s[j-1]) {
			return strings.TrimSpace(s)
		}
	}
	return ""
}

func isWordOctet(c byte) bool { return ascii.IsAlpha(c) || c >= 0x80 }
