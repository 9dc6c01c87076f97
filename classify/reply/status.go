package reply

import (
	"errors"
	"strconv"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// Status is an enhanced mail system status code, class.subject.detail (RFC 3463
// section 2). The zero Status means that there is none.
type Status struct {
	Class   int16 // 2 success, 4 persistent transient failure, 5 permanent failure
	Subject int16 // what the failure is about, 0 to 999: 1 the address, 2 the mailbox, 7 security or policy
	Detail  int16 // 0 to 999, registered by RFC 5248; 0 is "other"
}

// ParseStatus reads class.subject.detail and nothing else. It returns the zero Status for
// anything that RFC 3463 section 2 does not allow: a class other than 2, 4 and 5, a
// number of more than three digits, or one with a leading zero ("5.01.1", which in
// replies is more often the beginning of a date).
func ParseStatus(s string) Status {
	if len(s) < 5 || len(s) > 9 || s[1] != '.' || s[0] != '2' && s[0] != '4' && s[0] != '5' {
		return Status{}
	}
	at := [2]int16{}
	n, dots := 0, 0
	for i := 2; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '.':
			if n == 0 || dots == 1 {
				return Status{}
			}
			n, dots = 0, 1
		case !ascii.IsDigit(c) || n == 3 || n > 0 && at[dots] == 0:
			return Status{}
		default:
			at[dots] = at[dots]*10 + int16(c-'0')
			n++
		}
	}
	if dots == 0 || n == 0 {
		return Status{}
	}
	return Status{int16(s[0] - '0'), at[0], at[1]}
}

// String returns the code as RFC 3463 writes it, "" for the zero Status. For the
// codes of the registry it allocates nothing.
func (s Status) String() string {
	if s == (Status{}) {
		return ""
	}
	if uint(s.Class) <= 5 && uint(s.Subject) < commonSubjects && uint(s.Detail) < commonDetails {
		at := ((int(s.Class)*commonSubjects+int(s.Subject))*commonDetails + int(s.Detail)) * commonWidth
		if s.Detail < 10 {
			return common[at : at+commonWidth-1]
		}
		return common[at : at+commonWidth]
	}
	var room [3 * 6]byte
	return string(s.append(room[:0]))
}

// common holds the codes with the subjects of RFC 3463 section 3 and all registered
// details, one after another, so that String need not allocate.
var common = func() string {
	b := make([]byte, 0, 6*commonSubjects*commonDetails*commonWidth)
	for i := range 6 * commonSubjects * commonDetails {
		class, subject, detail := i/commonDetails/commonSubjects, i/commonDetails%commonSubjects, i%commonDetails
		b = Status{int16(class), int16(subject), int16(detail)}.append(b)
		b = b[:(i+1)*commonWidth]
	}
	return string(b)
}()

const (
	commonSubjects = 8
	commonDetails  = 40
	commonWidth    = len("5.7.39")
)

func (s Status) append(b []byte) []byte {
	b = append(strconv.AppendInt(b, int64(s.Class), 10), '.')
	b = append(strconv.AppendInt(b, int64(s.Subject), 10), '.')
	return strconv.AppendInt(b, int64(s.Detail), 10)
}

// MarshalText returns the same as String; JSON uses it.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes. Anything else is an error.
func (s *Status) UnmarshalText(text []byte) error {
	if *s = ParseStatus(string(text)); *s == (Status{}) && len(text) > 0 {
		return errors.New("parsing an enhanced status code: not class.subject.detail of RFC 3463")
	}
	return nil
}

// Generic reports whether the code says no more than its class: X.0.0. It is true for the
// zero Status as well.
func (s Status) Generic() bool { return s.Subject == 0 && s.Detail == 0 }

// Telling reports whether the code says what failed: it is not a success, X.0.0 or the
// zero Status.
func (s Status) Telling() bool { return s.rank() > rankGeneric }

// Detailed reports whether the code has both a subject and a detail.
func (s Status) Detailed() bool { return s.rank() >= rankDetail }

// TellsMore reports whether the code says more about a failure than another code. A
// detail of a subject says more than a subject alone, a subject more than "other"
// (RFC 3463 section 3.1), and every failure more than a success.
func (s Status) TellsMore(than Status) bool { return s.rank() > than.rank() }

// rankGeneric is the rank of X.0.0, rankDetail that of a code with subject and detail.
const (
	rankGeneric = 2
	rankDetail  = 5
)

// rank returns how much a code tells, see TellsMore; 0 for the zero Status.
func (s Status) rank() int {
	switch {
	case s.Class == 0:
		return 0
	case s.Class == 2:
		return 1
	case s.Generic():
		return rankGeneric
	case s.Subject == 0:
		return 3
	case s.Detail == 0:
		return 4
	}
	return rankDetail
}

// FindStatus returns the first enhanced code in s, alone or among words; the zero Status
// if there is none. It is for Status fields, which may have a comment (RFC 3464 section
// 2.3.4).
func FindStatus(s string) Status {
	for i := 0; i < len(s); i++ {
		if !ascii.IsDigit(s[i]) || i > 0 && (ascii.IsDigit(s[i-1]) || s[i-1] == '.') {
			continue
		}
		if t := statusAt(s[i:]); t != "" && endsStatus(s, i+len(t)) {
			return ParseStatus(t)
		}
	}
	return Status{}
}

// LeadingStatus returns the enhanced code that s begins with, the zero Status if there is
// none. Like [LeadingCode] it is for readers of dialogues, such as package notice.
func LeadingStatus(s string) Status {
	t := statusAt(s)
	if t == "" || !endsStatus(s, len(t)) {
		return Status{}
	}
	return ParseStatus(t)
}

// statusAt returns the enhanced code that s begins with, as it is written, without a full
// stop after it; "" if there is none.
func statusAt(s string) string {
	i := 0
	for i < len(s) && (ascii.IsDigit(s[i]) || s[i] == '.') {
		i++
	}
	for i > 0 && s[i-1] == '.' {
		i--
	}
	if ParseStatus(s[:i]).Class == 0 {
		return ""
	}
	return s[:i]
}

// endsStatus reports whether an enhanced code may end before s[i].
func endsStatus(s string, i int) bool {
	if i >= len(s) {
		return true
	}
	switch c := s[i]; {
	case c == '.':
		return i+1 >= len(s) || s[i+1] == ' ' || s[i+1] == '.' || s[i+1] == '\n' || s[i+1] == '\r'
	case c == '-': // "5.7.1-…", but not a range
		return i+1 >= len(s) || !ascii.IsDigit(s[i+1])
	case c >= 0x80:
		return true
	}
	return !ascii.IsAlnum(s[i]) && s[i] != '@' && s[i] != '/' && s[i] != '_'
}
