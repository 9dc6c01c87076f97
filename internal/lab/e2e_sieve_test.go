//go:build e2e

package lab

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// scripts are the Sieve scripts that we give to people, each with the folders of
// its own for what it sorts.
func scripts(t *testing.T) map[string]string {
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(root + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	_, readme, ok := strings.Cut(read("README.md"), "```sieve\nrequire [\"fileinto\"")
	if !ok {
		t.Fatal("README.md has no Sieve script")
	}
	readme, _, _ = strings.Cut(readme, "```")
	return map[string]string{"bounces.sieve": read("packaging/sieve/bounces.sieve"), "README.md": `require ["fileinto"` + readme}
}

// The scripts sort what the daemon tagged, under Postfix, by Dovecot's own Sieve;
// what a stranger wrote, however often, never moves a message.
func TestSieve(t *testing.T) {
	w := theWorld(t)
	l := newLab(t)
	const hard = "X-Bounce-Type: hard\nX-Bounce-Category: invalid-address\nX-Bounce-Kind: feedback\nX-Bounce-Action: delivered\n"
	forged := strings.Split(strings.TrimSpace(strings.Repeat(hard, 500)), "\n")
	tooMany := strings.Split(strings.TrimSpace(strings.Repeat(hard, 1500)), "\n")
	dear := Refused{Address: `"u; type=hard"@remote.test`, Status: "5.2.2", RemoteMTA: "mx.remote.test; type=hard", Diagnostic: overQuota.Diagnostic}
	refused := Refused{Address: "u@remote.test", Status: "5.7.1", RemoteMTA: "mx.remote.test",
		Diagnostic: "554 5.7.1 Message rejected as spam by content filter"}
	type arrival struct {
		name   string
		data   func(id, to string) []byte
		from   string
		inside bool // handed in by a program on the host
		folder string
		readme string // where it differs
	}
	report := func(extra []string, r ...Refused) func(id, to string) []byte {
		return func(id, to string) []byte { return Bounce(id, to, extra, r...) }
	}
	ordinary := func(extra []string) func(id, to string) []byte {
		return func(id, to string) []byte { return Ordinary(id, to, extra, 500) }
	}
	arrivals := []arrival{
		{name: "ordinary", data: ordinary(nil), from: "ann@remote.test", folder: "INBOX"},
		{name: "forged", data: ordinary(forged[:4]), from: "ann@remote.test", folder: "INBOX"},
		{name: "2000 forged", data: ordinary(forged), from: "ann@remote.test", folder: "INBOX"},
		{name: "6000 forged", data: ordinary(tooMany), from: "ann@remote.test", inside: true, folder: "INBOX"},
		{name: "says that forged stayed", data: ordinary(append([]string{"X-Bounce-Forged: 3 left"}, forged...)), from: "ann@remote.test", folder: "INBOX"},
		{name: "hard", data: report(nil, unknownUser), folder: "Bounces.Hard"},
		{name: "hard among others", data: report(nil, overQuota, unknownUser), folder: "Bounces.Hard"},
		{name: "full with 2000 forged", data: report(forged, overQuota), folder: "Bounces.Full"},
		{name: "an address that looks like a verdict", data: report(nil, dear), folder: "Bounces.Full"},
		{name: "delayed", data: report(nil, greylisted), folder: "Bounces.Delayed", readme: "Bounces.Soft"},
		{name: "reputation", data: report(nil, refused), folder: "Bounces.Reputation", readme: "Bounces.Refused"},
	}
	got := map[string]Message{}
	to, box := w.postfix.Mailbox()
	for i, a := range arrivals {
		data := append(fmt.Appendf(nil, "X-Case: %s\n", a.name), a.data(fmt.Sprintf("sieve%d", i), to)...)
		if a.inside {
			if err := w.postfix.Submit(a.from, []string{to}, data); err != nil {
				t.Fatal(err)
			}
			continue
		}
		send(t, w.postfix.Addr("unix"), Mail{From: a.from, To: []string{to}, Data: data})
	}
	for _, m := range delivered(t, box, len(arrivals)) {
		got[m.Get("X-Case")] = m
	}
	for name, script := range scripts(t) {
		s, err := l.NewSieve("sieve-"+name, script)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range arrivals {
			want := a.folder
			if name == "README.md" && a.readme != "" {
				want = a.readme
			}
			if folder, err := s.Folder(got[a.name].Raw); err != nil || folder != want {
				t.Errorf("%s stores %q in %s, want %s (%v)", name, a.name, folder, want, err)
			}
		}
		// As on a host where nothing took them off.
		raw := Ordinary("raw", to, append([]string{"X-Bounce-Forged: 9 left"}, tooMany...), 500)
		if folder, err := s.Folder(raw); err != nil || folder != "INBOX" {
			t.Errorf("%s stores verdicts that are said to be forged in %s (%v)", name, folder, err)
		}
		for _, o := range origins {
			want := o.folder
			if name == "README.md" && o.readme != "" {
				want = o.readme
			}
			verdict := append([]string{"X-Bounce-Category: " + o.category, "X-Bounce-Type: " + o.typ, "X-Bounce-Action: failed"}, o.fields...)
			if folder, err := s.Folder(Ordinary("origin", to, verdict, 100)); err != nil || folder != want {
				t.Errorf("%s stores what has %q in %s, want %s (%v)", name, o.fields, folder, want, err)
			}
		}
	}
}

// origins are headers as bounces have them where [origin] is configured, and the folder for
// each: only what is proved of all recipients is a reason to remove an address.
var origins = []struct {
	category, typ  string
	fields         []string
	folder, readme string // readme where it differs
}{
	{"invalid-address", "hard", []string{"X-Bounce-Origin: ours", "X-Bounce-Result: u@remote.test; type=hard;\n\torigin=ours; proof=ticket; bound=yes;\n\twent-to=u@remote.test"}, "Bounces.Hard", ""},
	{"invalid-address", "hard", []string{"X-Bounce-Origin: unproven", "X-Bounce-Result: u@remote.test; type=hard;\n\torigin=unproven"}, "Bounces.Unproven", "Bounces.Soft"},
	{"invalid-address", "hard", []string{"X-Bounce-Origin: foreign", "X-Bounce-Result: u@remote.test; type=hard;\n\torigin=foreign"}, "Bounces.Foreign", "Bounces.Soft"},
	{"invalid-address", "hard", []string{"X-Bounce-Origin: ours", "X-Bounce-Result: u@remote.test; type=hard;\n\torigin=ours; proof=dkim; bound=no"}, "Bounces.Unproven", "Bounces.Soft"},
	{"invalid-address", "hard", []string{"X-Bounce-Origin: ours", "X-Bounce-Result: u@remote.test; type=hard;\n\torigin=ours; proof=ticket; bound=yes;\n\twent-to=u@remote.test",
		"X-Bounce-Result: perhaps more; bound=no"}, "Bounces.Unproven", "Bounces.Soft"},
	{"invalid-address", "hard", []string{"X-Bounce-Origin: ours", "X-Bounce-Result: u@remote.test; type=hard;\n\torigin=ours; proof=ticket; bound=yes;\n\twent-to=u@remote.test",
		"X-Bounce-Result: victim@remote.test; type=hard;\n\torigin=unproven"}, "Bounces.Unproven", "Bounces.Soft"},
	{"mailbox-full", "soft", []string{"X-Bounce-Origin: unproven", "X-Bounce-Result: u@remote.test; type=soft;\n\torigin=unproven"}, "Bounces.Full", ""},
}
