// Package ascii has tests for letters, digits and the like, for protocols in plain ASCII.
package ascii

// IsDigit reports whether c is one of 0 to 9.
func IsDigit(c byte) bool { return '0' <= c && c <= '9' }

// IsAlpha reports whether c is a letter.
func IsAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// IsAlnum reports whether c is a letter or a digit.
func IsAlnum(c byte) bool { return IsDigit(c) || IsAlpha(c) }

// IsBlank reports whether r is white space or a control character.
func IsBlank(r rune) bool { return r <= ' ' || r == 0x7f }

// EqualFold compares the name of a field, or another word of a protocol, ignoring case.
func EqualFold(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i := range b {
		x, y := b[i], name[i]
		if x != y && (x|0x20 != y|0x20 || !IsAlpha(x)) {
			return false
		}
	}
	return true
}

// Only reports whether s has no octet above 0x7f.
func Only[T string | []byte](s T) bool {
	if len(s) < 8 {
		for i := 0; i < len(s); i++ {
			if s[i] >= 0x80 {
				return false
			}
		}
		return true
	}
	for i := 0; i < len(s)-8; i += 8 {
		if high(s[i : i+8]) {
			return false
		}
	}
	return !high(s[len(s)-8:])
}

// high reports whether one of eight octets is above 0x7f. The compiler reads them at once.
func high[T string | []byte](s T) bool {
	_ = s[7]
	return (uint64(s[0])|uint64(s[1])<<8|uint64(s[2])<<16|uint64(s[3])<<24|
		uint64(s[4])<<32|uint64(s[5])<<40|uint64(s[6])<<48|uint64(s[7])<<56)&0x8080808080808080 != 0
}

// HasWords reports whether s contains more than punctuation and space: a letter, a
// digit, or anything outside of ASCII.
func HasWords[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if IsAlnum(s[i]) || s[i] >= 0x80 {
			return true
		}
	}
	return false
}
