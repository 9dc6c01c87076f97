//go:build e2e

package lab

import (
	"fmt"
	"testing"
)

// Mail of a user who logs in gets a ticket wherever it comes from; the same mail of a client
// that has not logged in gets none. Sendmail asks Cyrus SASL, Postfix asks Dovecot.
func TestTicketsOfUsers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	must := orFail(t)
	remote, err := l.StartRemote(refuse)
	must(err)
	ports, err := FreePorts(1)
	must(err)
	startOrigin(t, l, "inet:"+Loopback(ports[0]), originTable(t, l, newKey(t), `"lab.test"`, ""))

	auth := l.Path("dovecot", "auth")
	dovecot, err := l.StartDovecot("dovecot", fmt.Sprintf("auth_mechanisms = plain\nservice auth {\n  unix_listener %s {\n    mode = 0666\n  }\n}\n", auth))
	must(err)
	showOnFailure(t, "dovecot", dovecot.Log)
	postfix, err := l.StartPostfix("pf", PostfixConfig{Remote: remote.Addr, Services: []Service{{Name: "submission", Milters: "inet:" + Loopback(ports[0]),
		Options: []string{"smtpd_sasl_auth_enable = yes", "smtpd_sasl_type = dovecot", "smtpd_sasl_path = " + auth}}}})
	must(err)
	showOnFailure(t, "postfix", postfix.Log)
	sendmail, err := l.StartSendmail("sm", SendmailConfig{Milter: fmt.Sprintf("inet:%d@127.0.0.1", ports[0]), Remote: remote.Addr, Account: "ann", Password: "secret"})
	must(err)
	showOnFailure(t, "sendmail", sendmail.Log)

	for server, addr := range map[string]string{"postfix": postfix.Addr("submission"), "sendmail": sendmail.Addr} {
		for _, tt := range []struct {
			who, from string
			login     bool
			tickets   int
		}{
			{"user", "ann@lab.test", true, 1},
			{"user-of-another-domain", "ann@elsewhere.test", true, 0},
			{"stranger", "ann@lab.test", false, 0},
			{"forger", "ann@lab.test", false, 1}, // his own, which proves nothing
		} {
			to := tt.who + "-" + server + "@remote.test"
			data := news(to, to)
			if tt.who == "forger" {
				data = append([]byte("X-Bounce-Ticket: v=1; k=a; t=1795816800; m=AAAAAAAAAAA; r=; h=AAAAAAAAAAAAAAAAAAAAAA\n"), data...)
			}
			c, err := DialSMTP(addr)
			must(err)
			if tt.login {
				must(c.Login("ann", "secret"))
			}
			_, err = c.Send(Mail{From: tt.from, To: []string{to}, Args: "BODY=8BITMIME", Data: data})
			must(err)
			must(c.Quit())
			got, err := remote.Wait(to, 1)
			must(err)
			if n := len(got[0].Tags("X-Bounce-Ticket")); n != tt.tickets {
				t.Errorf("%s, %s: %d tickets, want %d\n%s", server, tt.who, n, tt.tickets, head(got[0].Message))
			}
		}
		c, err := DialSMTP(addr)
		must(err)
		if err := c.Login("ann", "wrong"); err == nil && server == "sendmail" {
			t.Errorf("%s takes any password", server)
		}
		c.Close()
	}
}
