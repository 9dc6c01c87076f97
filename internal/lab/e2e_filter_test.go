//go:build e2e

package lab

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
)

// filterOption is what our recipe has the smtpd do that a filter gives mail back to.
func filterOption(t *testing.T) string {
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(root + "/packaging/postfix/master.cf")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^  -o (receive_override_options)=(\S+)$`).FindStringSubmatch(string(b))
	if m == nil {
		t.Fatal("master.cf has no receive_override_options")
	}
	return m[1] + " = " + m[2]
}

// A bounce goes through an after-queue content filter, the real amavis, and comes
// back to Postfix, which shows it to the daemon again or, as our recipe has it,
// does not. It is counted once and keeps its headers, which are no forgery; those
// of a stranger are.
func TestContentFilter(t *testing.T) {
	override := filterOption(t)
	for _, c := range []struct {
		name  string
		top   string   // of the daemon's configuration
		main  string   // of main.cf
		back  []string // options of the smtpd that mail comes back to
		again float64  // messages that came back to the daemon, of two that it tagged
		none  float64  // ordinary ones that it saw, of one
	}{
		{"shown again", "", "", nil, 2, 2},
		{"shown again, forged headers kept", "forged_headers = \"keep\"\n", "", nil, 2, 2},
		{"the recipes", "forged_headers = \"keep\"\n", recipe(t), []string{override}, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			ports, err := FreePorts(2)
			if err != nil {
				t.Fatal(err)
			}
			listen := "inet:" + Loopback(ports[0])
			daemon, err := l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{listen}, Top: c.top})
			if err != nil {
				t.Fatal(err)
			}
			showOnFailure(t, "bounce-milter", daemon.Log)
			t.Cleanup(func() { noRaces(t, daemon) })
			filter, err := l.StartAmavis("filter", Loopback(ports[1]))
			if err != nil {
				t.Fatal(err)
			}
			showOnFailure(t, "amavis", filter.Log)
			host, port, err := net.SplitHostPort(filter.Addr)
			if err != nil {
				t.Fatal(err)
			}
			p, err := l.StartPostfix("pf", PostfixConfig{
				Services: []Service{
					{Name: "in", Milters: listen, Options: []string{fmt.Sprintf("content_filter = smtp:[%s]:%s", host, port)}},
					{Name: "back", Milters: listen, Port: ports[1], Options: c.back},
				},
				OwnBounces: listen, Main: c.main,
			})
			if err != nil {
				t.Fatal(err)
			}
			showOnFailure(t, "postfix", p.Log)

			before := scrape(t, daemon)
			to, box := p.Mailbox()
			forged := []string{"X-Bounce-Category: dmarc", "X-Bounce-Type: block"}
			words := WordsOnly("words", to, "full@remote.test", "552 5.2.2 Mailbox of this user is over quota")
			send(t, p.Addr("in"), Mail{To: []string{to}, Data: Bounce("filtered", to, forged, overQuota, unknownUser)},
				Mail{To: []string{to}, Data: words},
				Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("plain", to, nil, 1000)})
			for _, m := range delivered(t, box, 3) {
				if !strings.Contains(strings.Join(m.Values("Received"), "\n"), "(amavis, port ") {
					t.Errorf("amavis did not see\n%s", head(m))
				}
				switch m.Get("Message-Id") {
				case "<filtered@mx.remote.test>":
					if results := tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed"); len(results) != 2 {
						t.Errorf("%d results, want 2", len(results))
					}
				case "<words@mx.remote.test>":
					tagged(t, m, "mailbox-full", "soft", "mailbox-full", "failed")
				default:
					if tags := m.Tags("X-Bounce-"); len(tags) > 0 {
						t.Errorf("ordinary mail is tagged: %v", tags)
					}
				}
			}
			stripped := 2.0
			if c.main != "" {
				stripped = 0 // before the daemon saw them
			}
			counted(t, daemon, before,
				count(1, "messages_total", `kind="dsn"`), count(1, "messages_total", `kind="text"`),
				count(c.none, "messages_total", `kind="none"`),
				count(3, "bounces_total"), count(c.again, "messages_again_total"),
				count(stripped, "forged_headers_total"), count(0, "errors_total"))
		})
	}
}
