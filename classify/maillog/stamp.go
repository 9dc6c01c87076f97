package maillog

import (
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// stamp is a time stamp that was recognised and not yet converted: most lines do not need
// their time.
type stamp struct {
	kind stampKind
	text string
}

type stampKind uint8

const (
	noStamp   stampKind = iota
	unknowing           // journalctl -o short-monotonic: no time of day
	monthDay            // Nov 28 01:11:15, with a fraction of a second or without
	monthYear           // Nov 28 2026 01:11:15
	iso                 // 2026-11-28T01:11:15.123+01:00, and less exact forms
	unix                // 1764292275.123
	micros              // 1764292275123456
)

// dated reports whether the stamp has a year.
func (s stamp) dated() bool { return s.kind > monthDay }

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// cutStamp cuts off a time stamp and the spaces after it.
func cutStamp(s string) (stamp, string) {
	if len(s) < 15 {
		return stamp{}, s
	}
	switch c := s[0]; {
	case c == '[':
		return cutMonotonic(s)
	case ascii.IsDigit(c):
		return cutNumeric(s)
	case ascii.IsAlpha(c):
		if s[3] != ' ' || month(s) == 0 {
			if weekday(s) { // journalctl -o short-full: Sat 2026-11-28 01:11:15 UTC
				return cutStamp(s[4:])
			}
			return stamp{}, s
		}
		n := 7
		if isClock(s[7:]) {
			n += 8
		} else if len(s) >= 20 && number(s[7:11]) > 0 && s[11] == ' ' && isClock(s[12:]) {
			n += 13
		} else {
			return stamp{}, s
		}
		kind := monthDay
		if n == 20 {
			kind = monthYear
		}
		n += fraction(s[n:])
		return ended(kind, s, n)
	}
	return stamp{}, s
}

// ended returns the stamp of the first n octets, if a space follows.
func ended(kind stampKind, s string, n int) (stamp, string) {
	if n < len(s) && s[n] != ' ' && s[n] != ':' { // Cisco ends it with a colon
		return stamp{}, s
	}
	rest := strings.TrimPrefix(s[n:], ":")
	return stamp{kind, s[:n]}, strings.TrimLeft(rest, " ")
}

// cutNumeric cuts off a date as ISO 8601 writes it, or seconds since 1970.
func cutNumeric(s string) (stamp, string) {
	if len(s) >= 19 && s[4] == '-' && s[7] == '-' && (s[10] == 'T' || s[10] == ' ') && isClock(s[11:]) &&
		number(s[:4]) > 0 && number(s[5:7]) > 0 && number(s[8:10]) > 0 {
		n := 19
		n += fraction(s[n:])
		n += zone(s[n:])
		return ended(iso, s, n)
	}
	if n := digits(s); n == 10 && n < len(s) && s[n] == '.' {
		n += fraction(s[n:])
		return ended(unix, s, n)
	}
	return stamp{}, s
}

// cutMonotonic cuts off seconds since the machine started: "[12345.678901] ",
// "[12345.678901 <    0.000102 >] ".
func cutMonotonic(s string) (stamp, string) {
	i := strings.IndexByte(s[:min(len(s), 48)], ']')
	if i < 0 || !strings.Contains(s[:i], ".") || strings.Trim(s[1:i], " 0123456789.<>") != "" {
		return stamp{}, s
	}
	return ended(unknowing, s, i+1)
}

// zone returns the length of a time zone: "Z", "+01:00", "+0100", " +0100", " UTC", " CET".
func zone(s string) int {
	if strings.HasPrefix(s, "Z") {
		return 1
	}
	n := 0
	if strings.HasPrefix(s, " ") {
		n = 1
	}
	if n < len(s) && (s[n] == '+' || s[n] == '-') {
		if n+6 <= len(s) && s[n+3] == ':' && number(s[n+1:n+3]) >= 0 && number(s[n+4:n+6]) >= 0 {
			return n + 6
		}
		if n+5 <= len(s) && number(s[n+1:n+5]) >= 0 {
			return n + 5
		}
		return 0
	}
	for i := n; i < len(s) && i <= n+5; i++ { // a host of two to five capitals would be taken for one
		if s[i] == ' ' && i-n >= 3 && n == 1 && zones[s[n:i]] {
			return i
		}
	}
	return 0
}

// zones are the abbreviations of time zones that journalctl -o short-full may write and
// that Go can place: UTC, or the local zone.
var zones = map[string]bool{"UTC": true, "GMT": true, "CET": true, "CEST": true, "EET": true, "EEST": true,
	"WET": true, "WEST": true, "BST": true, "IST": true, "MSK": true, "JST": true, "KST": true, "AEST": true, "AEDT": true,
	"NZST": true, "NZDT": true, "EST": true, "EDT": true, "CST": true, "CDT": true, "MST": true, "MDT": true, "PST": true, "PDT": true}

// time converts the stamp; the zero time where there is none, or no such day.
func (s stamp) time(p *Parser) time.Time {
	loc := p.Location
	if loc == nil {
		loc = time.Local
	}
	t := s.text
	switch s.kind {
	case monthDay:
		return p.guessYear(time.Month(month(t)), number(t[4:6]), t[7:], loc)
	case monthYear:
		return date(number(t[7:11]), time.Month(month(t)), number(t[4:6]), t[12:], loc)
	case iso:
		clock := t[11:]
		n := 8 + fraction(clock[8:])
		if z := strings.TrimPrefix(clock[n:], " "); z != "" {
			loc = place(z, loc)
		}
		return date(number(t[:4]), time.Month(number(t[5:7])), number(t[8:10]), clock[:n], loc)
	case unix:
		return time.Unix(int64(number(t[:10])), nanoseconds(t[10:])).In(loc)
	case micros:
		return time.UnixMicro(int64(number(t))).In(loc)
	}
	return time.Time{}
}

// place returns the location of a time zone. An abbreviation other than UTC is taken for
// the local zone, which journalctl writes.
func place(z string, local *time.Location) *time.Location {
	switch {
	case z == "Z" || z == "UTC" || z == "GMT":
		return time.UTC
	case z[0] != '+' && z[0] != '-':
		return local
	}
	d := strings.ReplaceAll(z[1:], ":", "")
	seconds := number(d[:2])*3600 + number(d[2:4])*60
	if z[0] == '-' {
		seconds = -seconds
	}
	if seconds == 0 {
		return time.UTC
	}
	return time.FixedZone("", seconds)
}

// date returns a time, the zero one if there is no such day.
func date(year int, m time.Month, day int, clock string, loc *time.Location) time.Time {
	t := time.Date(year, m, day, number(clock[:2]), number(clock[3:5]), number(clock[6:8]), int(nanoseconds(clock[8:])), loc)
	if m < 1 || m > 12 || day < 1 || day > 31 || t.Day() != day && number(clock[:2]) < 24 && t.Month() != m {
		return time.Time{}
	}
	return t
}

// guessYear returns the last such day and time that is not after p.Latest; but a day
// after it is allowed, for machines whose clocks or time zones differ.
func (p *Parser) guessYear(m time.Month, day int, clock string, loc *time.Location) time.Time {
	latest := p.Latest
	if latest.IsZero() {
		latest = time.Now()
	}
	latest = latest.Add(24 * time.Hour)
	year := latest.In(loc).Year()
	for y := year; y > year-9; y-- { // 29 February may be eight years ago
		if t := date(y, m, day, clock, loc); !t.IsZero() && !t.After(latest) {
			return t
		}
	}
	return time.Time{}
}

// month returns the number of the month whose name s begins with, 0 if it does not.
func month(s string) int {
	if i := strings.Index(months, s[:3]); i >= 0 && i%3 == 0 {
		return i/3 + 1
	}
	return 0
}

// weekday reports whether s begins with the name of a day.
func weekday(s string) bool {
	i := strings.Index("MonTueWedThuFriSatSun", s[:3])
	return i >= 0 && i%3 == 0 && len(s) > 4 && s[3] == ' '
}

// isClock reports whether s begins with "01:11:15".
func isClock(s string) bool {
	return len(s) >= 8 && s[2] == ':' && s[5] == ':' && number(s[:2]) >= 0 && number(s[3:5]) >= 0 && number(s[6:8]) >= 0
}

// fraction returns the length of a fraction of a second: ".123456".
func fraction(s string) int {
	if len(s) > 1 && (s[0] == '.' || s[0] == ',') {
		if n := digits(s[1:]); n > 0 && n < 10 {
			return n + 1
		}
	}
	return 0
}

func nanoseconds(fraction string) int64 {
	n, unit := int64(0), int64(time.Second)
	for i := 1; i < len(fraction); i++ {
		unit /= 10
		n += int64(fraction[i]-'0') * unit
	}
	return n
}

// digits returns how many digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && ascii.IsDigit(s[n]) {
		n++
	}
	return n
}

// number reads a number of up to 18 digits, with spaces before it; -1 if it is none.
func number(s string) int {
	s = strings.TrimLeft(s, " ")
	if s == "" || len(s) > 18 || digits(s) < len(s) {
		return -1
	}
	n := 0
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n
}
