package fold

import "unicode/utf8"

// letters lists letters in lower case with what they are without their accents, which
// stands first.
var letters = [...]string{
	"aàáâãäåāăąǎǟǡǻȁȃȧḁạảấầẩẫậắằẳẵặ", "bḃḅḇ", "cçćĉċčḉ", "dďḋḍḏḑḓđð", "eèéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệ",
	"fḟ", "gĝğġģǧǵḡ", "hĥȟḣḥḧḩḫẖħ", "iìíîïĩīĭįǐȉȋḭḯỉị", "jĵǰ", "kķǩḱḳḵ", "lĺļľḷḹḻḽł", "mḿṁṃ", "nñńņňǹṅṇṉṋ",
	"oòóôõöōŏőơǒǫǭȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợøǿ", "pṕṗ", "rŕŗřȑȓṙṛṝṟ", "sśŝşšșṡṣṥṧṩ", "tţťțṫṭṯṱẗŧ",
	"uùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữự", "vṽṿ", "wŵẁẃẅẇẉẘ", "xẋẍ", "yýÿŷȳẏẙỳỵỷỹ", "zźżžẑẓẕ",
	"αά", "εέ", "ηή", "ιΐίϊ", "οό", "σς", "υΰϋύ", "ωώ",
	"аӑӓ", "гѓґ", "еѐёӗ", "жӂӝ", "зӟ", "иѝйӣӥ", "кќ", "оӧ", "уўӯӱӳ", "чӵ", "ыӹ", "эӭ", "ії",
}

const (
	firstLetter = 0xdf
	maxLetter   = 0x1f00
)

// MaxBare is the last letter that [Bare] may change.
const MaxBare rune = maxLetter - 1

// bare holds what [Bare] returns, from firstLetter on; 0 for the letter itself.
var bare = func() (t [maxLetter - firstLetter]uint16) {
	for _, list := range letters {
		plain, size := utf8.DecodeRuneInString(list)
		for _, r := range list[size:] {
			t[r-firstLetter] = uint16(plain)
		}
	}
	return t
}()

// Bare returns a letter in lower case without its accents, so that words are the same
// with them and without: people and servers leave them out, Greek does in capitals, and
// a letter may come in two characters, of which the second is the accent. Letters that
// stand for two become these ("ß" is "ss"); second is 0 otherwise. Bare returns -1 for an
// accent that is a character of its own.
//
// It is for comparing words only: an address without its accents is another address.
func Bare(r rune) (first, second rune) {
	switch {
	case r < firstLetter || r >= maxLetter:
		return r, 0
	case r == 'ß':
		return 's', 's'
	case r == 'æ':
		return 'a', 'e'
	case r == 'œ':
		return 'o', 'e'
	case r >= 0x300 && r < 0x370:
		return -1, 0
	}
	if plain := bare[r-firstLetter]; plain != 0 {
		return rune(plain), 0
	}
	return r, 0
}
