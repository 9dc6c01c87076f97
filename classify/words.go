package classify

import "bytes"

// withinWord reports whether norm[from] is within a word: it begins neither a word nor
// a part of one as in MailboxFull or MCVirus.
func (t *text) withinWord(from int) bool {
	before, first := t.norm[from-1], t.norm[from]
	if !isAlnum(before) || before <= '9' && first > '9' {
		return false
	}
	upper := func(i int) bool { return t.marks[i]&markUpper != 0 }
	return !upper(from) || upper(from-1) && (upper(from+1) || !isLetter(t.norm[from+1]))
}

// behindHead reports whether p, at norm[from:], is the second part of a compound.
func (m *matcher) behindHead(t *text, p *pattern, from int) bool {
	for _, head := range m.heads[p.heads] {
		if bytes.HasSuffix(t.norm[:from], []byte(head)) && !t.withinWord(from-len(head)) {
			return true
		}
	}
	return false
}

// hasLetters reports whether norm[from:] holds two letters in a row outside of
// addresses, hosts and URLs.
func (t *text) hasLetters(from int) bool {
	return t.lastLetters >= max(1, from+1)
}

// findLastLetters finds the last place where two letters stand in a row outside of
// addresses, hosts and URLs.
func (t *text) findLastLetters() {
	t.lastLetters = len(t.norm) - 1
	for i := t.lastLetters; i > 0; i-- {
		if isLetter(t.norm[i]) && isLetter(t.norm[i-1]) && (t.marks[i]|t.marks[i-1])&markMasked == 0 {
			break
		}
		t.lastLetters = i - 1
	}
}

// speaks reports whether norm[from:] holds a word that may explain something: only
// letters ("ad1si1997pbd" is an id), and not a mute word such as "esmtp".
//
// QUIRK: Postfix and others write "?" for each octet beyond ASCII. Words that were lost
// in this way are words.
func (q *inquest) speaks(t *text, from int) bool {
	b := t.norm
	for i := max(1, from+1); i < len(b); {
		word, letters := i, true
		for i < len(b) && (isAlnum(b[i]) || b[i] >= 0x80 || b[i] == '_') {
			letters = letters && (isLetter(b[i]) || b[i] == '_')
			i++
		}
		switch {
		case i == word && b[i] == '?' && i+1 < len(b) && b[i+1] == '?' && (t.marks[i]|t.marks[i+1])&(markMasked|markTail) == 0:
			return true
		case i == word:
			i++
		case letters && i-word > 1 && (t.marks[word]|t.marks[i-1])&(markMasked|markTail) == 0 &&
			!q.e.match.mute[string(b[word:i])]:
			return true
		}
	}
	return false
}

// typePrefix returns where a text begins behind the type of a diagnostic, which is not
// part of the reply: "smtp; 550 …" (RFC 3464 section 2.3.6).
func typePrefix(norm []byte) int {
	i := 1
	for i < len(norm) && (isLetter(norm[i]) || norm[i] == '-') {
		i++
	}
	if i > 1 && i < len(norm) && norm[i] == ';' {
		return i
	}
	return 0
}

func isAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 0x80 }
