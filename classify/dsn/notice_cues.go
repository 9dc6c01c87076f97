package dsn

import "strings"

// headScore is what the header says of whether a message is a bounce.
type headScore struct {
	score   int
	machine bool // a mail system wrote it
	robot   bool // some program wrote it
	delayed bool // the Subject says that the program will try again
}

// headerScore adds up the cues of the header.
func (d *noticeData) headerScore(h fieldSource) headScore {
	var s headScore
	values := cueValues{}
	for i := range d.cues {
		if c := &d.cues[i]; c.holds(h, values) {
			s.score += c.Weight
			s.machine = s.machine || c.Machine
			s.robot = s.robot || c.Robot
			s.delayed = s.delayed || c.Delayed
		}
	}
	return s
}

// cueValues keeps the folded values of fields that cues have asked for. A
// field that is there but empty has the value "<>".
type cueValues map[string]string

// holds reports whether a cue holds for a header.
func (c *noticeCue) holds(h fieldSource, values cueValues) bool {
	for _, name := range c.Header {
		v, ok := values[name]
		if !ok {
			v = foldPhrase(cut(h.get(name), maxSentence))
			if v == "" && len(h.values(name)) > 0 {
				v = "<>"
			}
			values[name] = v
		}
		if v != "" && c.matches(v) {
			return true
		}
	}
	return false
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
	weightBait     = -4

	// enoughHeader is the score of a header from which the text need say
	// nothing that the data know, if only it names an address: a notice in a
	// language or of a program that they do not know.
	enoughHeader = 7
)

// isBounce weighs the header's cues and the text's together.
func (n *notice) isBounce(head headScore) bool {
	if !head.machine && !n.opened {
		return false
	}
	body := weightSays * min(n.says, 2)
	if n.opened {
		body += weightOpens
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
	return head.score+body+weightBait*n.bait >= n.d.threshold
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
