package dsn

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// results are the recipients of a report so far, indexed so that a second group about the
// same result is found at once.
//
// An alias may have several results: Exim and Sendmail write a group for each address
// that it leads to, all with the alias as Final-Recipient.
type results struct {
	list  []Recipient
	first map[string]int // index of an address's first result, by the address in lower case
	exact map[result]int // index, by everything in which results differ
}

// result is everything in which two results can differ, in lower case.
type result struct {
	address, actual, diagnostic string

	action Action
	status reply.Status
}

// newResults prepares for the results of a number of groups, after those that are known. A
// single group is not compared with others, so it needs no index.
func newResults(known []Recipient, groups int) *results {
	rs := &results{list: append(make([]Recipient, 0, len(known)+groups), known...)}
	if groups > 1 {
		rs.first, rs.exact = map[string]int{}, map[result]int{}
	}
	return rs
}

// add adds the result of a group. actual is the address that an alias led to, "" if the
// group does not say.
//
// QUIRK: the same recipient twice, once with the reply and once without: MailMarshal,
// and reports that a gateway joined.
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

// sameAs reports whether two groups about one address describe the same result: they do
// not contradict each other.
func (r *Recipient) sameAs(other *Recipient) bool {
	return r.Action == other.Action && (r.Diagnostic == "" || other.Diagnostic == "") &&
		(r.Status == other.Status || !r.Status.Telling() || !other.Status.Telling())
}

// merge adds what a second group says about the same result.
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

// complete adds the lines that the reply in a field lacks. If the reporting server made
// the reply itself, it adds what the transcript says beside it.
//
// QUIRK: Sendmail copies only the first line of a reply into Diagnostic-Code; all lines
// are in the transcript ("<<<"). For its own errors it copies the general text ("553
// 5.3.5 system config error"); the error itself is in the transcript.
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

// hasDialogue reports whether the words of the message may contain an SMTP dialogue with
// a reply of this code. Most reports have none, and this search costs much less than
// reading the dialogue.
func (r *reading) hasDialogue(code int) bool {
	answer := strconv.Itoa(code)
	if !r.haveWords && !r.mayHaveDialogue(answer) {
		return false
	}
	words := r.words()
	return strings.Contains(words, "<<<") || strings.Contains(words, "\n"+answer)
}

// mayHaveDialogue searches the undecoded octets of the parts, which is enough for most
// of them. It is false only if the decoded words would contain no dialogue either.
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

// isUnfinished reports whether a multiline reply (RFC 5321 section 4.2.1) lacks its last
// line: it begins with "550-5.7.26 …", and no "550 …" follows.
func isUnfinished(said string) bool {
	if len(said) < 4 || reply.ParseCode(said[:3]) == 0 || said[3] != '-' {
		return false
	}
	return !strings.Contains(said[4:], " "+said[:3]+" ")
}

// statusWords returns the words of a Status field after its code, "" if there are none.
//
// QUIRK: Haraka writes no Diagnostic-Code if no server answered, but a comment:
// "Status: 5.1.2 (550 Tried all MXs)", which RFC 3464 section 2.3.4 allows.
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
