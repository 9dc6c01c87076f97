//go:build e2e

package install

import (
	"fmt"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// followsTheJournal has the unit of follow read the real journal: what is logged while it
// runs, and what was logged, and moved to another file, while it did not.
func (m *machine) followsTheJournal() {
	m.t.Helper()
	edit(m.t, m.root+"/etc/bounce-milter/config.toml", `path = "/var/log/mail\.log"`, `path = "journal"`)
	bounced := func(n int, words string) {
		m.run("logger", "--size", "16KiB", "-p", "mail.info", "-t", "postfix/smtp", fmt.Sprintf("4XyZ%d: to=<gone@example.com>, relay=mx.example.com[192.0.2.1]:25, "+
			"delay=1, dsn=5.1.1, status=bounced (host mx.example.com[192.0.2.1] said: 550 5.1.1 %s User unknown (in reply to RCPT TO command))", n, words))
	}
	counts := func(n int) {
		m.t.Helper()
		want := fmt.Sprintf(`bounce_milter_deliveries_total{category="invalid-address",provider="other",result="bounced",type="hard"} %d`, n)
		if err := lab.Until(want, func() (bool, error) {
			page, _ := m.try("curl", "-fsS", "http://127.0.0.1:9895/metrics")
			return strings.Contains(page, "\n"+want+"\n"), nil
		}); err != nil {
			m.t.Fatalf("%v\n%s", err, m.run("journalctl", "-q", "-u", "bounce-milter-follow", "-n", "20"))
		}
	}
	bounced(1, "before the first start, so that it does not count")
	if err := lab.Until("the first line in the journal", func() (bool, error) {
		out, _ := m.try("journalctl", "-q", "-t", "postfix/smtp")
		return strings.Contains(out, "4XyZ1: "), nil
	}); err != nil {
		m.t.Fatal(err)
	}
	m.run("systemctl", "start", "bounce-milter-follow")
	if err := lab.Until("the place in the journal", func() (bool, error) {
		return strings.Contains(m.read("/var/lib/bounce-milter/follow.state"), `"cursor"`), nil
	}); err != nil {
		m.t.Fatal(err)
	}
	m.run("systemctl", "stop", "bounce-milter-follow")
	bounced(2, "before anything else is read")
	m.run("systemctl", "start", "bounce-milter-follow")
	counts(1)
	bounced(3, strings.Repeat("very long ", 500)) // journalctl leaves it out unless it is told not to
	bounced(4, "bo\xeete inconnue,")              // a list of numbers in JSON
	counts(3)
	m.run("systemctl", "kill", "--signal=KILL", "bounce-milter-follow")
	bounced(5, "while it starts anew")
	m.run("journalctl", "--rotate")
	bounced(6, "in another file")
	counts(5)
	if out, err := m.try("curl", "-fsS", "http://127.0.0.1:9895/-/ready"); err != nil {
		m.t.Errorf("following is not ready: %v\n%s", err, out)
	}
	m.run("systemctl", "stop", "bounce-milter-follow")
}
