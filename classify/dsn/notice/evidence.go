package notice

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// gathered is what the notice says about one recipient, or about several that it names
// together. It is found once for all of them.
type gathered struct {
	key
	diagnostic, remoteMTA string
	before                int         // where the phrase that announces the reply begins, -1 if there is none
	words                 string      // the notice's own words by the address, see trimEnds
	about                 string      // those of them that are certainly about the failure
	trimmed               string      // words, or "" if they consist of addresses only
	codes                 reply.Reply // the codes in words
}

// key is everything that gathered depends on.
type key struct {
	start, from, to int
	own, listed     bool
	inDialogue      bool
	said            *exchange
}

// gather finds what the notice says about a recipient, except for what depends on the
// address itself.
func (n *Notice) gather(f *foundRecipient) *gathered {
	k := key{start: f.start, from: f.from, to: f.to, listed: f.line >= 0, said: f.said}
	k.inDialogue = k.listed && n.inDialogue(f.line)
	k.own = k.listed && f.words && n.stopBefore(f.from) < 0
	if !k.own {
		k.start, k.from, k.to = 0, 0, n.end
	}
	if n.last != nil && n.last.key == k {
		return n.last
	}
	g := &gathered{key: k, before: -1}
	n.last = g
	if !n.work.Take(unitsRecipient + 4*min(k.to-k.from, 2*MaxEvidence) + k.to - k.from) {
		return g
	}
	alone := len(n.found) <= 1
	at, end, strength := -1, -1, 0
	if k.own {
		g.before, at, end, strength = n.findReply(k.from, k.to)
	}
	e := k.said
	switch {
	case e != nil && (e.remote || strength < 2 || k.inDialogue) && (alone || e.sure || !k.own):
		g.diagnostic, g.remoteMTA = n.parse(e.reply).Text, e.host
	case strength > 0:
		g.diagnostic = reply.Parse(n.quote(at, end)).Text
	case (alone || !n.anyOwn) && !n.sayAt(f):
		// One reply for all recipients.
		if n.common == nil {
			n.common = new(commonReply)
			n.common.before, n.common.at, n.common.end, n.common.strength = n.findReply(0, n.end)
		}
		g.before, at, end = n.common.before, n.common.at, n.common.end
		if n.common.strength > 0 {
			g.diagnostic = n.parse(n.quote(at, end)).Text
		}
	}
	g.diagnostic = n.complete(trimReply(g.diagnostic))
	if g.remoteMTA == "" && (k.own || alone || g.diagnostic != "") {
		from := k.from
		if k.own {
			from = min(from, k.start)
		}
		g.remoteMTA = n.hostIn(from, k.to, at)
	}
	if k.own {
		words, about := n.ownWords(f, g.before)
		g.words, g.about = trimEnds(words), trimWords(trimEnds(about))
		g.trimmed = trimWords(g.words)
		g.codes = reply.Parse(n.quote(k.from, k.to))
	}
	return g
}

// evidence gathers what the notice says about one recipient.
func (n *Notice) evidence(f *foundRecipient) Recipient {
	g := n.gather(f)
	r := Recipient{Address: f.address, Original: f.original, Delayed: f.fate == delayed, Diagnostic: g.diagnostic, RemoteMTA: g.remoteMTA,
		Unnamed: f.address == "" && n.unnamed}
	r.Words, r.About = n.wordsAbout(f, g)
	if e := f.said; e != nil && e.sure && e.note != "" { // a program's own output tells more than the MTA's summary of it
		r.Words = strings.ToValidUTF8(cut(strings.TrimSpace(e.note+" "+r.Words), MaxEvidence), "?")
		r.About = strings.ToValidUTF8(cut(strings.TrimSpace(e.note+" "+r.About), MaxEvidence), "?")
	}
	said := n.parse(r.Diagnostic)
	if e := f.said; e != nil && !e.remote && e.code == said.Code && (len(n.found) <= 1 || e.sure) {
		r.Transcript = n.parse(e.reply).Text
	}
	r.SMTPCode, r.Status, r.Reply = said.Code, said.Status, said
	if said.Status.Class == 0 || said.Code == 0 && r.Diagnostic == "" {
		words := g.codes
		if !g.own {
			words = n.parse(r.Words)
		}
		if r.Status.Class == 0 {
			r.Status = words.Status
		}
		if r.SMTPCode == 0 && r.Diagnostic == "" {
			r.SMTPCode = words.Code
		}
	}
	if r.SMTPCode < 400 {
		r.SMTPCode = 0
	}
	return r
}

// parse is [reply.Parse] with a cache of the latest texts.
func (n *Notice) parse(s string) reply.Reply {
	for i := range n.parsed {
		if p := &n.parsed[i]; p.of == s {
			return p.Reply
		}
	}
	n.work.Take(len(s) / 2)
	copy(n.parsed[1:], n.parsed[:])
	n.parsed[0] = parsed{s, reply.Parse(s)}
	return n.parsed[0].Reply
}

// parsed is a parsed reply and its text.
type parsed struct {
	of string
	reply.Reply
}

// complete returns all lines of a reply of which the notice quotes only the first; they
// are in the dialogue.
func (n *Notice) complete(said string) string {
	if said == "" || len(n.dialogue) == 0 {
		return said
	}
	if n.firstLines == nil {
		n.firstLines = map[string]int{}
		for i := len(n.dialogue) - 1; i >= 0; i-- {
			first, _, more := strings.Cut(n.dialogue[i].reply, "\n")
			if more && n.dialogue[i].remote {
				n.firstLines[reply.Parse(first).Text] = i
			}
		}
	}
	if i, ok := n.firstLines[said]; ok {
		return n.parse(n.dialogue[i].reply).Text
	}
	return said
}
