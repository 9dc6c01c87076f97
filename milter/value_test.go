package milter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// param is a parameter of a result that was read, the recipient without a key.
type param struct{ key, value string }

// The reference parser: the grammar of bounce-milter(8), RESULTS, rule by rule,
// and nothing beyond it.
var (
	escapeGrammar = regexp.MustCompile(`^\\x\{([0-9A-F]{1,6})\}`)
	keyGrammar    = regexp.MustCompile(`^[a-z][a-z0-9-]*=`)
	wordsGrammar  = regexp.MustCompile("^[!#-:<>-\\[\\]-~\u0080-\U0010ffff]+( [!#-:<>-\\[\\]-~\u0080-\U0010ffff]+)*")
	atomGrammar   = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
	labelGrammar  = "[A-Za-z0-9\u0080-\U0010ffff]([A-Za-z0-9\u0080-\U0010ffff-]*[A-Za-z0-9\u0080-\U0010ffff])?"
	bareGrammar   = regexp.MustCompile(`^` + atomGrammar + `(\.` + atomGrammar + `)*(@(` + labelGrammar + `(\.` + labelGrammar + `)*|\[[0-9A-Fa-f.]+\]|\[IPv6:[0-9A-Fa-f:.]+\]))?`)
)

var encodedWord = regexp.MustCompile(`=\?[^?]*\?[A-Za-z]\?.*\?=`)

// parseResult reads the value of an X-Bounce-Result.
func parseResult(s string) ([]param, error) {
	var out []param
	for {
		var p param
		if len(out) > 0 {
			key := keyGrammar.FindString(s)
			if key == "" {
				return nil, fmt.Errorf("no key at %q", s)
			}
			p.key, s = key[:len(key)-1], s[len(key):]
		}
		rule := wordsGrammar
		if len(out) == 0 {
			rule = bareGrammar
		}
		if strings.HasPrefix(s, `"`) {
			var err error
			if p.value, s, err = parseQuoted(s); err != nil {
				return nil, err
			}
		} else {
			value := rule.FindString(s)
			if value == "" {
				return nil, fmt.Errorf("no value at %q", s)
			}
			p.value, s = value, s[len(value):]
		}
		out = append(out, p)
		if s == "" {
			return out, nil
		}
		rest, ok := strings.CutPrefix(s, ";\n\t")
		if !ok {
			rest, ok = strings.CutPrefix(s, "; ")
		}
		if !ok {
			return nil, fmt.Errorf("neither end nor separator at %q", s)
		}
		s = rest
	}
}

// parseQuoted reads a quoted-string and returns what is behind it.
func parseQuoted(s string) (value, rest string, err error) {
	var b strings.Builder
	for s = s[1:]; s != ""; {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case s[0] == '"':
			return b.String(), s[1:], nil
		case s[0] == '\\':
			if m := escapeGrammar.FindStringSubmatch(s); m != nil {
				code, err := strconv.ParseInt(m[1], 16, 32)
				if err != nil || code > unicode.MaxRune {
					return "", "", fmt.Errorf("bad escape at %q", s)
				}
				b.WriteRune(rune(code))
				s = s[len(m[0]):]
				continue
			}
			if len(s) < 2 || !strings.ContainsRune(`"\=`, rune(s[1])) {
				return "", "", fmt.Errorf("bad pair at %q", s)
			}
			b.WriteByte(s[1])
			n = 2
		case s[0] == ';', s[0] == '=', s[0] < ' ', s[0] == 0x7f, r == utf8.RuneError:
			return "", "", fmt.Errorf("character that may not stand at %q", s)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return "", "", errors.New("no end of the quoted-string")
}

// naiveResult reads a result as somebody would who has not read the grammar.
func naiveResult(s string) (params []param) {
	for i, part := range strings.Split(strings.ReplaceAll(s, "\n\t", " "), ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if i == 0 {
			key, value = "", part
		}
		params = append(params, param{key, value})
	}
	return params
}

// hostileValues are what a stranger may have written into a report.
var hostileValues = []string{
	"a@example.com; category=mailbox", "a@example.com\r\nX-Bounce-Category: mailbox", "a@example.com\n\tcategory=x",
	"\x00\x01\x7f", "a\u0085b", "a\u2028b", "\u202egnp.exe", "\xff\xfe", strings.Repeat("x", 5000), strings.Repeat("ü", 5000),
	strings.Repeat("\x01", 5000), strings.Repeat("; ", 3000), `a\x{3B}b`, " ", "", "   a   b   ", "jürgen@exämple.com", "\ufeffa",
	`"u type=hard"@example.com`, "u type=hard@example.com", "type=hard@example.com", "u@example.com type=hard", "Type=hard", "10 more", "unknown",
	"=?us-ascii?q?=3B_type=3Dhard?=@example.com", `"`, `\`, `\"`, `"\`, "a...", "...", strings.Repeat("y", 476) + "...", "u@[192.0.2.1]",
	"u@[IPv6:2001:db8::1]", "u@[x;y=z]", "[IPv6:2001:db8::1%eth0]", "2001:db8::1", "u@-a.test", "u@a..b", ".u@a.test", "u@a_b.test", "@", "a@b@c.test",
	"u\u037e type=hard@example.com", "u\uff1b type\uff1dhard@example.com", "\u3164@example.com", "\u2800", "\u115f\u1160\uffa0", "\U000e0041",
	"e\u0301@example.com", "=\u0338", "\u0338a", "\u212a@example.com", "\uff34ype@example.com", "日本@例え.test", "📧@example.com", "\U00013441",
}

// TestValues lists values that must not be changed, and an example of each kind of quoting.
func TestValues(t *testing.T) {
	same := func(s string) [3]string { return [3]string{s, s, s} }
	for _, tt := range [][3]string{ // value, without and with UTF-8
		same("u@example.com"), same("bounces+u=example.net@lists.example.com"), same("root"), same("u@[192.0.2.1]"), same("u@[IPv6:2001:db8::1]"),
		same("o'brien/x{y}@a-b.example"),
		{"jürgen@exämple.com", `"j\x{FC}rgen@ex\x{E4}mple.com"`, "jürgen@exämple.com"},
		{"e\u0301@example.com", `"e\x{301}@example.com"`, "e\u0301@example.com"},
		{`"a b"@example.com`, `"\"a b\"@example.com"`, `"\"a b\"@example.com"`},
		{"a;b@example.com", `"a\x{3B}b@example.com"`, `"a\x{3B}b@example.com"`},
		{`a\b`, `"a\\b"`, `"a\\b"`},
		{"a  b ", `"a \x{20}b\x{20}"`, `"a \x{20}b\x{20}"`},
		{"type=hard@example.com", `"type\=hard@example.com"`, `"type\=hard@example.com"`},
		{"=?utf-8?q?x?=@a.test", `"\=?utf-8?q?x?\=@a.test"`, `"\=?utf-8?q?x?\=@a.test"`},
		{"unknown", `"unknown"`, `"unknown"`},
		{"u@a_b.test", `"u@a_b.test"`, `"u@a_b.test"`},
		{"a\r\nb", `"a\x{D}\x{A}b"`, `"a\x{D}\x{A}b"`},
		{"\xff", `"\x{FFFD}"`, `"\x{FFFD}"`},
		{"u\u037e@a.test", `"u\x{37E}@a.test"`, `"u\x{37E}@a.test"`},
		{"日\uff1b", `"\x{65E5}\x{FF1B}"`, `"日\x{FF1B}"`},
		{"a\u3164\u2800\u115f\u1160\u202e", `"a\x{3164}\x{2800}\x{115F}\x{1160}\x{202E}"`, `"a\x{3164}\x{2800}\x{115F}\x{1160}\x{202E}"`},
		{"=\u0338", `"\=\x{338}"`, `"\=\x{338}"`},
		{"a...", `"a..\x{2E}"`, `"a..\x{2E}"`},
	} {
		if got := [3]string{tt[0], address(tt[0], false), address(tt[0], true)}; got != tt {
			t.Errorf("address: got %s\nwant %s", got, tt)
		}
	}
	for s, want := range map[string]string{
		"mx.example.com": "mx.example.com", "192.0.2.1": "192.0.2.1", "[192.0.2.1]": "[192.0.2.1]", "mx.example.com.": `"mx.example.com."`,
		"2001:db8::1": `"2001:db8::1"`, "mx.example.com (192.0.2.1)": `"mx.example.com (192.0.2.1)"`, "[a;b]": `"[a\x{3B}b]"`, "[IPv6:192.0.2.1]": `"[IPv6:192.0.2.1]"`,
	} {
		if got := host(s, true); got != want {
			t.Errorf("host(%q) = %s, want %s", s, got, want)
		}
	}
	if got := quoted(strings.Repeat("a", 500), maxAddress, false); len(got) != maxAddress || !strings.HasSuffix(got, `a..."`) {
		t.Errorf("a long value: %d octets, %s", len(got), got)
	}
}

func TestResultsAreRead(t *testing.T) {
	for _, v := range hostileValues {
		checkResult(t, v, v)
	}
}

func FuzzResult(f *testing.F) {
	for _, v := range hostileValues {
		f.Add(v, "mx.example.com")
		f.Add("u@example.com", v)
	}
	f.Fuzz(func(t *testing.T, addr, mta string) { checkResult(t, addr, mta) })
}

// checkResult puts values that a stranger wrote wherever they can be, and checks that every
// reader of the field reads what was meant.
func checkResult(t *testing.T, addr, mta string) {
	t.Helper()
	for _, raw := range []bool{false, true} {
		res := bounce(addr)
		r := &res.Recipients[0]
		r.RemoteMTA, r.Status, r.Rule, r.Diagnostic = mta, mta, addr, addr
		fields := tagFields(strings.Repeat("X-", 32), &res, addr, nil, raw)
		if len(fields) != 5 {
			t.Fatalf("%d fields", len(fields))
		}
		value := fields[4].value
		for line := range strings.SplitSeq(fields[4].name+": "+value, "\n") {
			if len(line) > 998 {
				t.Errorf("a line of %d octets", len(line))
			}
			for i, c := range line {
				if c < ' ' && !(c == '\t' && i == 0) || c == 0x7f {
					t.Errorf("control character %q in %q", c, line)
				}
			}
		}
		if !utf8.ValidString(value) || !raw && !ascii.Only(value) {
			t.Errorf("characters that the message may not have: %q", value)
		}
		for _, c := range value {
			if c >= utf8.RuneSelf && (!unicode.In(c, unicode.L, unicode.M, unicode.N) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, c)) {
				t.Errorf("%U stands raw in %q", c, value)
			}
		}
		got, err := parseResult(value)
		if err != nil {
			t.Fatalf("%q is not in the grammar: %v", value, err)
		}
		want := append(said(r), param{keyVERP, addr})
		if addr == "" {
			want = want[:len(want)-1]
		}
		if len(got) != len(want) {
			t.Fatalf("%q has %v, want %v", value, got, want)
		}
		for i := range want {
			was := string([]rune(want[i].value)) // U+FFFD for each octet that is not UTF-8
			start, cut := strings.CutSuffix(got[i].value, "...")
			if got[i].key != want[i].key || got[i].value != was && !(cut && strings.HasPrefix(was, start)) {
				t.Errorf("%q has %q, want %q", value, got[i], want[i])
			}
		}
		if addr != "" && strings.HasPrefix(value, noAddress+";") {
			t.Errorf("%q is taken for no address", addr)
		}
		naive := naiveResult(value)
		if len(naive) != len(got) || !slices.EqualFunc(naive, got, func(a, b param) bool { return a.key == b.key }) {
			t.Errorf("%q reads as %v without the grammar", value, naive)
		}
		for i, p := range naive {
			if own := slices.Contains([]string{keyCategory, keyType, keyReason, keyAction, keySMTPCode, keyProvider}, p.key); own && p != got[i] {
				t.Errorf("%q reads as %v without the grammar", value, p)
			}
		}
		if n := strings.Count(strings.ToLower(value), "type="); n != 1 {
			t.Errorf("%q has type= %d times", value, n)
		}
		if encodedWord.MatchString(value) {
			t.Errorf("%q holds an encoded word", value)
		}
	}
}

// said returns what resultValue should say about a recipient.
func said(r *classify.Recipient) []param {
	addr := r.Address
	if addr == "" {
		addr = noAddress
	}
	var out []param
	for _, p := range []param{{"", addr}, {keyCategory, string(r.Category)}, {keyType, string(r.Type)}, {keyReason, r.Reason}, {keyAction, string(r.Action)},
		{keyStatus, r.Status}, {keySMTPCode, strconv.Itoa(r.SMTPCode)}, {keyProvider, r.Provider}, {keyRule, r.Rule}, {keyRemoteMTA, r.RemoteMTA}} {
		if p.value != "" {
			out = append(out, p)
		}
	}
	return out
}
