package mask

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"550 5.1.1 <carla@example.com>: no such user", "550 5.1.1 <[address]>: no such user"},
		{"550-5.7.26 Mail from example.org is unauthenticated.", "550-5.7.26 Mail from [host] is unauthenticated."},
		{"421-4.7.28 Try again (id 4XyZ1kQ)", "421-4.7.28 Try again (id [id])"},
		{"554 mx1.mail.example.net [192.0.2.25] refused you", "554 [host] [[ip]] refused you"},
		{"[2001:db8::25]:25 closed, see IPv6:2001:db8::1", "[[ip]]:[number] closed, see [ip]"},
		{"from 192.0.2.0/24, 192.0.2.7:25.", "from [ip], [ip]."},
		{"see https://example.com/a?b=c,d(e) now", "see [link] now"},
		{"see <http://example.com/x>.", "see <[link]>."},
		{"visit www.example.com/help.", "visit [link]."},
		{"visit example.com/help/12", "visit [link]"},
		{"visit javascript://x(1)", "visit [link]"},
		{"Ticket #4711, queue id A1B2C3D4E5", "Ticket #[number], queue id [id]"},
		{"mailbox of carla_42 is full", "mailbox of [id] is full"},
		{"mailbox of carla42 is full", "mailbox of [id] is full"},
		{"Access denied. AS(201806281) [S3140]", "Access denied. AS([number]) [S3140]"},
		{"over 10MB after 4th try in 30s", "over 10MB after 4th try in 30s"},
		{"\"carla q\"@example.com unknown", "[address] unknown"},
		{"carla@[192.0.2.1] unknown", "[address] unknown"},
		{"carla%40example.com, carla%2540example.com, carla&#64;example.com", "[address], [address], [address];[host]"},
		{"carla＠例え.jp は不明", "[address] は不明"},
		{"bounces+carla=example.com is not valid", "[address] is not valid"},
		{"The mailbox is full.It will stay so", "The mailbox is full.It will stay so"},
		{"User <carla> unknown", "User <[name]> unknown"},
		{"at 10:00:00 on 2026-11-02", "at [number]:[number]:[number] on [number]"},
		{"deferred by aGVsbG8gd29ybGQhIFRoaXM in transit", "deferred by [id] in transit"},
		{"requires SMTPUTF8 and 8BITMIME over IPv6", "requires SMTPUTF8 and 8BITMIME over IPv6"},
		{"xn--bcher-kva.example said no", "[host] said no"},
		{"bücher.example said no", "[host] said no"},
		{"gone: 1.2.0.192.zen.example.org", "gone: [host]"},
		{"250 after 12345 octets", "250 after [number] octets"},
		{"to=carla@example.com,", "[address],"},
		{"a@b@c.example", "[address]"},
		{"@", "[address]"},
		{"mail for carla [at] example.com failed", "mail for [address] failed"},
		{"mail for carla(at)example.com, failed", "mail for [address], failed"},
		{"mail for carla @ example.com failed", "mail for [address] failed"},
		{"look (at) this", "look (at) this"},
		{"carla&commat;example.com carla&#064;example.com", "[address];[host] [address];[host]"},
		{`carla\x{40}example.com, carla+40example.com, carla+AEA-example.com`, "[address]{[number]}[host], [address], [address]"},
		{"relay!host!carla has gone. Stop!", "[address] has gone. Stop!"},
		{`CORP\carla, corp\nora, C:\Users\carla\Mail are locked.\nTry later`, `[name], corp\nora, [name] are locked.\nTry later`},
		{"/home/carla/Maildir and /var/mail/carla: and/or", "[name] and [name]: and/or"},
		{"/o=Example/ou=Site One/cn=Recipients/cn=carla", "[name] One/cn=[name]/cn=[name]"},
		{"c=de;a= ;p=example;s=carla;g=ann; user=carla, p=reject", "c=de;a= ;p=example;s=[name];g=[name]; user=[name], p=reject"},
		{"<>", "<>"},
		{"", ""},
	} {
		if got := Text(c.in); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.in, got, c.want)
		}
	}
}

func TestKnown(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Carla.Jones is unknown here", "[name] is unknown here"},
		{"carla.jones@example.com unknown", "[address] unknown"},
		{"carla.jones+news is unknown", "[name]+news is unknown"},
		{"carla.joneson is unknown", "carla.joneson is unknown"},
		{"CARLA.JONES@OTHER.EXAMPLE unknown", "[name][address] unknown"},
	} {
		if got := Text(c.in, "carla.jones@example.com"); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.in, got, c.want)
		}
	}
	for in, want := range map[string]string{"Carla Jones is full": "[name] is full", "carla_jones: carlajones": "[name]: [name]", "carla and jones": "carla and jones"} {
		if got := Text(in, "carla.jones+x@example.com"); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := Text("User o'neil+a unknown", "o'neil+a@example.com"); got != "User [name] unknown" {
		t.Errorf("local part with signs: %q", got)
	}
}

// An example can be masked once more and stays as it is in kind.
func TestExample(t *testing.T) {
	in := "550 5.1.1 carla@example.net at mx.example.net [192.0.2.9] 2001:db8::9 https://a.example/b 4711 A1B2C3D4E5 <carla>"
	want := "550 5.1.1 user@example.com at host.example.com [192.0.2.1] 2001:db8::1 https://example.com/ 1111 1A2B3C4D <user>"
	if got := Example(in); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	if a, b := Text(in), Text(Example(in)); a != b {
		t.Errorf("the example masks to %q, the text to %q", b, a)
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct {
		in   string
		max  int
		want string
	}{
		{"a\r\n\tb \x00\x1b[31mc", 99, "a b [31mc"},
		{"ab\u202ecd\u2066ef\u200bgh\ufeff", 99, "abcdefgh"},
		{"tag\U000e0041s", 99, "tags"},
		{"caf\xe9", 99, "café"},
		{"日本語", 99, "日本語"},
		{"日本語日本語", 12, "日本語…"},
		{"private \ue000 use", 99, "private ? use"},
		{"<script>", 99, "<script>"},
		{"  a  ", 99, "a"},
		{strings.Repeat("\u200b", 1000), 10, "…"},
	} {
		if got := Clean(c.in, c.max); got != c.want {
			t.Errorf("%.80q: got %q, want %q", c.in, got, c.want)
		}
	}
}

// Nothing that is given as known stays, spans are in order and the rest of the text is kept.
func FuzzFind(f *testing.F) {
	for _, s := range []string{"550 5.1.1 <carla@example.com>", "a@b@c \"x\"@[1.2.3.4]", "https://x", "421-421-421-", "=:/#", "1.2.3.4.5", "\xff@\xff", "carla@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4096 {
			return
		}
		at := 0
		for _, p := range Find(s, "carla@example.com", "@", "") {
			if p.From < at || p.To <= p.From || p.To > len(s) {
				t.Fatalf("span %v after %d in %q", p, at, s)
			}
			at = p.To
		}
		if got := Text(s, "carla@example.com"); strings.Contains(lower(got), "carla@example.com") {
			t.Fatalf("%q keeps the address: %q", s, got)
		}
		if c := Clean(s, 64); len(c) > 64 || !utf8.ValidString(c) || c != Clean(c, 64) {
			t.Fatalf("%q is cleaned to %q", s, c)
		}
	})
}

// The work is linear: a text of hostile words takes no more per octet than a plain one.
func TestLong(t *testing.T) {
	for _, unit := range []string{"a@", "\"@", "421-", "a.", "://", "1.", "=", "<a>", "%40", "@[", "www.", "[at]a.com", "@ a.com", "a!", `a\\`, "/a", "cn=", "+40"} {
		s := strings.Repeat(unit, 64<<10/len(unit))
		if n := len(Find(s, "a@example.com", "carla@example.com")); n > len(s) {
			t.Errorf("%q: %d spans", unit, n)
		}
	}
}
