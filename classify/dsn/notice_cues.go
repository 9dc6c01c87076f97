package dsn

import (
	"slices"
	"strings"
)

// headScore is what the header says of whether a message is a bounce.
type headScore struct {
	score   int
	machine bool // a mail system wrote it
	robot   bool // some program wrote it
	person  bool // people write so, too
	spared  int  // part of score that does not count where the text shows a bounce
	delayed bool // the Subject says that the program will try again
}

// headerScore adds up the cues of the header.
func (d *noticeData) headerScore(h fieldSource) headScore {
	var s headScore
	daemon, null := false, false
	d.cues.each(h, func(c *noticeCue) {
		daemon, null = daemon || c.Daemon, null || c.Null
		s.score += c.Weight
		if c.Spares {
			s.spared += c.Weight
		}
		s.machine = s.machine || c.Machine
		s.robot = s.robot || c.Robot
		s.person = s.person || c.Person
		s.delayed = s.delayed || c.Delayed
	})
	if !daemon {
		s.spared = 0
	} else if null {
		s.score, s.spared = s.score-s.spared, 0
	}
	if s.score-s.spared <= tooLittle {
		s.machine, s.robot = false, false
	}
	return s
}

// cueSet is a list of cues, filed by the fields that they look at, so that
// every field is read and folded once.
type cueSet struct {
	fields []string
	cues   [][]*noticeCue // by number of field
	count  int
}

func (s *cueSet) add(c *noticeCue) {
	c.fold()
	c.number = s.count
	s.count++
	for _, name := range c.Header {
		i := slices.Index(s.fields, name)
		if i < 0 {
			i = len(s.fields)
			s.fields, s.cues = append(s.fields, name), append(s.cues, nil)
		}
		s.cues[i] = append(s.cues[i], c)
	}
}

// each calls f for every cue that holds for a header, once.
func (s *cueSet) each(h fieldSource, f func(*noticeCue)) {
	var room [2][maxSentence]byte
	var seen [4]uint64
	for i, name := range s.fields {
		v := h.get(name)
		var folded string
		if v == "" {
			if len(h.values(name)) == 0 {
				continue
			}
			folded = "<>" // there, and empty
		} else {
			_, low := foldText(room[0][:0], room[1][:0], cut(v, maxSentence))
			folded = strings.TrimSuffix(string(low), " ")
		}
		for _, c := range s.cues[i] {
			if bit := uint64(1) << (c.number % 64); seen[c.number/64%4]&bit == 0 && c.matches(folded) {
				seen[c.number/64%4] |= bit
				f(c)
			}
		}
	}
}

// fold brings the cue's phrases into the form in which they are compared.
func (c *noticeCue) fold() {
	for _, list := range [][]string{c.Local, c.Begin, c.Any} {
		for i, p := range list {
			list[i] = foldPhrase(p)
		}
	}
}

// matches reports whether a cue holds for a field's folded value.
func (c *noticeCue) matches(v string) bool {
	switch {
	case c.Present:
		return true
	// QUIRK: Courier's sender is "<@>".
	case c.Empty && (v == "<>" || strings.HasSuffix(v, " <>") || strings.HasSuffix(v, "<@>")):
		return true
	}
	if len(c.Local) > 0 {
		local := v
		if i := strings.LastIndexByte(local, '<'); i >= 0 {
			local = local[i+1:]
		} else if i := strings.IndexByte(local, ' '); i >= 0 && strings.IndexByte(local, '@') > i {
			local = local[strings.LastIndexByte(local[:strings.IndexByte(local, '@')], ' ')+1:]
		}
		if i := strings.IndexAny(local, "@> ("); i >= 0 {
			local = local[:i]
		}
		local = strings.TrimSuffix(local, `\`) // QUIRK: "Postmaster\@example.com@example.net", by a script
		for _, want := range c.Local {
			if local == want {
				return true
			}
		}
	}
	for _, p := range c.Begin {
		if strings.HasPrefix(v, p) {
			return true
		}
	}
	for _, p := range c.Any {
		if strings.Contains(v, p) {
			return true
		}
	}
	return false
}

// Weights of what the text says. The threshold is the data's.
const (
	weightOpens    = 4
	weightSays     = 2 // a sentence; two count
	weightReply    = 2 // a server's refusal is quoted
	weightReturned = 1 // the returned message follows in the text
	weightAgainst  = -4

	// enoughHeader is the score of a header from which the text need say
	// nothing that the data know, if only it names an address: a notice in a
	// language or of a program that they do not know.
	enoughHeader = 7

	// tooLittle is the score down from which the header alone says that the
	// message is no bounce, whoever wrote it and whatever it quotes.
	tooLittle = -4
)

// isBounce weighs the header's cues and the text's together.
func (n *notice) isBounce(head headScore) bool {
	if (!head.machine || head.person) && !n.opened {
		return false
	}
	if n.opened {
		head.score -= head.spared
	}
	body := weightSays * min(n.says, 2)
	if n.opened {
		body += weightOpens
	}
	if body > 0 && head.score+body+weightAgainst*n.against >= n.d.threshold {
		return true
	}
	if len(n.lines) > 0 && (n.findCode(0, n.end, false) >= 0 || ParseReply(n.words(0, n.end)).Status != "") {
		body += weightReply
	}
	if body == 0 && (head.score < enoughHeader || len(n.addrs) == 0) {
		return false
	}
	if n.cut {
		body += weightReturned
	}
	return head.score+body+weightAgainst*n.against >= n.d.threshold
}

// addressedTo reports whether the message was sent to addr itself.
func (n *notice) addressedTo(addr string) bool {
	return addr != "" && strings.Contains(n.addressee, strings.ToLower(addr))
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
