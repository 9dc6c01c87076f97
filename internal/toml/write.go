package toml

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Quote writes a basic string.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// QuoteList writes a list of basic strings, of strings or of what package fmt prints as one.
func QuoteList[T any](items []T) string {
	list := make([]string, len(items))
	for i, item := range items {
		list[i] = Quote(fmt.Sprint(item))
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// OneOf lists a choice of words: `"a", "b" or "c"`.
func OneOf[T ~string](words []T) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(Quote(string(w)))
	}
	return b.String()
}

// Duration writes a time without trailing units that are zero: "2h", not "2h0m0s".
func Duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return Quote(s)
}

// Units of sizes, in octets.
const (
	KiB = 1 << 10
	MiB = 1 << 20
	GiB = 1 << 30
)

var units = []struct {
	name   string
	octets int64
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}}

// Size writes a number of octets; if it is a multiple of a unit, as a string with that
// unit.
func Size(n int64) string {
	for _, u := range units {
		if n >= u.octets && n%u.octets == 0 {
			return fmt.Sprintf(`"%d%s"`, n/u.octets, u.name)
		}
	}
	return strconv.FormatInt(n, 10)
}

// ParseSize reads a number with a unit. K, KB and KiB all mean 1,024 octets, and so on.
func ParseSize(s string) (int64, bool) {
	digits := strings.TrimRight(s, "KMGTiIBbkmgt ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	unit := strings.ToUpper(strings.TrimSpace(s[len(digits):]))
	unit = strings.TrimSuffix(strings.TrimSuffix(unit, "B"), "I")
	factor, ok := map[string]int64{"": 1, "K": KiB, "M": MiB, "G": GiB}[unit]
	if !ok || n > 1<<62/factor {
		return 0, false
	}
	return n * factor, true
}
