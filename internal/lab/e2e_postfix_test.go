//go:build e2e

package lab

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	overQuota = Refused{Address: "full@gmail.example", Status: "5.2.2", RemoteMTA: "gmail-smtp-in.l.google.com",
		Diagnostic: "552-5.2.2 The email account that you tried to reach is over quota. 552 5.2.2 Please direct the recipient to clear some space"}
	unknownUser = Refused{Address: "gone@remote.test", Status: "5.1.1", RemoteMTA: "mx.remote.test",
		Diagnostic: "550 5.1.1 <gone@remote.test>: Recipient address rejected: User unknown in local recipient table"}
	greylisted = Refused{Address: "later@remote.test", Action: "delayed", Status: "4.2.0", RemoteMTA: "mx.remote.test",
		Diagnostic: "450 4.2.0 <later@remote.test>: Recipient address rejected: Greylisted, see the help page"}
)

// A report from the null sender is tagged, between ordinary mail on the same
// connection, and counted: issue 2, check (a), over every kind of socket.
func TestBounceIsTagged(t *testing.T) {
	w := theWorld(t)
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			before := scrape(t, w.daemon)
			to, box := w.postfix.Mailbox()
			send(t, w.postfix.Addr(service),
				Mail{To: []string{to}, Data: Bounce("a1-"+service, to, nil, overQuota)},
				Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("a2-"+service, to, nil, 1000)},
				Mail{To: []string{to}, Data: Bounce("a3-"+service, to, nil, unknownUser)},
			)
			for _, m := range delivered(t, box, 3) {
				switch id := m.Get("Message-Id"); id {
				case "<a1-" + service + "@mx.remote.test>":
					results := tagged(t, m, "mailbox-full", "soft", "mailbox-full", "failed")
					if len(results) != 1 {
						t.Fatalf("%d results, want 1", len(results))
					}
					result(t, results[0], "full@gmail.example", map[string]string{"category": "mailbox-full", "type": "soft",
						"reason": "mailbox-full", "action": "failed", "status": "5.2.2", "smtp-code": "552", "provider": "google",
						"remote-mta": "gmail-smtp-in.l.google.com"})
				case "<a3-" + service + "@mx.remote.test>":
					results := tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
					result(t, results[0], "gone@remote.test", map[string]string{"status": "5.1.1", "smtp-code": "550", "provider": "other"})
				default:
					if tags := m.Tags("X-Bounce-"); len(tags) > 0 {
						t.Errorf("ordinary mail %s is tagged: %v", id, tags)
					}
				}
			}
			counted(t, w.daemon, before,
				count(2, "messages_total", `kind="dsn"`),
				count(1, "messages_total", `kind="none"`),
				count(1, "bounces_total", `category="mailbox-full"`, `type="soft"`, `action="failed"`, `provider="google"`),
				count(1, "bounces_total", `category="invalid-address"`, `type="hard"`, `provider="other"`),
				count(1, "bounce_reasons_total", `reason="mailbox-full"`),
				count(2, "rule_matches_total"),
				count(2, "inspect_duration_seconds_count"),
				count(0, "errors_total"),
				count(1, "sessions_total"),
				count(0, "sessions"))
		})
	}
}

// Three recipients give three results, and the primary is the failed and hard
// one: issue 2, check (b).
func TestThreeRecipients(t *testing.T) {
	w := theWorld(t)
	before := scrape(t, w.daemon)
	to, box := w.postfix.Mailbox()
	send(t, w.postfix.Addr("unix-chroot"), Mail{To: []string{to}, Data: Bounce("b", to, nil, greylisted, overQuota, unknownUser)})
	results := tagged(t, delivered(t, box, 1)[0], "invalid-address", "hard", "unknown-recipient", "failed")
	if len(results) != 3 {
		t.Fatalf("%d results, want 3", len(results))
	}
	result(t, results[0], "later@remote.test", map[string]string{"action": "delayed", "type": "soft", "reason": "greylisted"})
	result(t, results[1], "full@gmail.example", map[string]string{"action": "failed", "type": "soft", "reason": "mailbox-full"})
	result(t, results[2], "gone@remote.test", map[string]string{"action": "failed", "type": "hard", "reason": "unknown-recipient"})
	counted(t, w.daemon, before,
		count(1, "messages_total", `kind="dsn"`),
		count(3, "bounces_total"),
		count(1, "bounces_total", `action="delayed"`))
}

// oddities are ordinary mails of the kinds that a careless milter changes.
var oddities = map[string]string{
	"plain":            "Subject: a\nFrom: a@remote.test\n\nHello.\n",
	"no body":          "Subject: a\nFrom: a@remote.test\n\n",
	"no final newline": "Subject: a\n\nlast line",
	"only a header":    "Subject: a\nFrom: a@remote.test\n",
	"folded":           "Subject: one\n two\n\tthree\n  \n four\nFrom: a@remote.test\n\nHello.\n",
	"spacing":          "Subject:none\nX-One:  two spaces\nX-Tab:\ttab\nX-Trail: end  \nX-Empty:\nX-Blank: \n\nHello.\n",
	"same names":       "X-Dup: one\nReceived: from a\nX-Dup: two\nReceived: from b\nx-dup: three\n\nHello.\n",
	"eight bits":       "Subject: Grüße\nX-Latin: \xe4\xf6\xfc\n\n\xff\xfe and ü\n",
	"dots":             "Subject: a\n\n.\n..\n.dot\n...\n",
	"bare CR":          "Subject: a\n\none\rtwo\n",
	"long lines":       "Subject: " + strings.Repeat("word ", 180) + "\n\n" + strings.Repeat("x", 990) + "\n",
	"no header":        "\nJust a body.\n",
	"not our prefix":   "X-Bounce: kept\nX-Bouncer-Category: kept\nX-Bounces-To: kept\n\nHello.\n",
	"many fields":      strings.Repeat("X-Field: value\n", 500) + "\nHello.\n",
	"receipt":          "Subject: Read: a\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; a\n\n--b--\n",
}

// variable is what differs between two deliveries of one message.
var variable = regexp.MustCompile(`(id )[0-9A-Za-z]+(\n|;)|; \w{3}, +\d+ \w{3} \d{4} [0-9:]{8} [^\n]*\n`)

// Ordinary mail arrives byte for byte as it does without a milter: issue 2,
// check (c).
func TestOrdinaryMailIsUntouched(t *testing.T) {
	w := theWorld(t)
	for name, text := range oddities {
		for _, service := range []string{"unix", "tcp-chroot"} {
			t.Run(name+" "+service, func(t *testing.T) {
				to, box := w.postfix.Mailbox()
				mail := Mail{From: "ann@remote.test", To: []string{to}, Args: "BODY=8BITMIME", Data: []byte(text)}
				send(t, w.postfix.Addr("plain"), mail)
				without := delivered(t, box, 1)[0]
				send(t, w.postfix.Addr(service), mail)
				for _, m := range delivered(t, box, 2) {
					if m.File == without.File {
						continue
					}
					want := variable.ReplaceAll(without.Raw, nil)
					if got := variable.ReplaceAll(m.Raw, nil); !bytes.Equal(got, want) {
						t.Errorf("with the milter:\n%q\nwithout:\n%q", got, want)
					}
				}
			})
		}
	}
}

// Fields with our prefix that come from outside are gone, two of one name and
// those in odd spelling too, and nothing else with them: issue 2, check (d).
func TestForgedHeadersAreRemoved(t *testing.T) {
	w := theWorld(t)
	forged := []string{
		"X-Bounce-Category: dmarc", "X-Other: one", "X-Bounce-Category: blocked", "x-bounce-type: hard",
		"X-BOUNCE-RESULT: a@b.test; category=dmarc;", "\ttype=hard", "X-Bounce-Kind: feedback", "X-Bounce-Origin: ours", "X-Bounce-Key: theirs",
		"X-Bounce-Category: mailbox", "X-Bounce-Category:", "X-Other: two",
	}
	ours := slices.DeleteFunc(slices.Clone(forged), func(l string) bool { return strings.HasPrefix(l, "X-Bounce-Key") })
	kept := func(t *testing.T, m Message) {
		t.Helper()
		if got := strings.Join(m.Values("X-Other"), " "); got != "one two" {
			t.Errorf("other fields: %q", got)
		}
	}
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			before := scrape(t, w.daemon)
			to, box := w.postfix.Mailbox()
			send(t, w.postfix.Addr(service),
				Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("d1", to, forged, 500)},
				Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("d1b", to, forged, 200_000)})
			for _, m := range delivered(t, box, 2) {
				if tags := m.Tags("X-Bounce-"); len(tags) != 1 || tags[0].Name != "X-Bounce-Key" {
					t.Errorf("fields with our prefix: %v", tags)
				}
				kept(t, m)
			}
			to, box = w.postfix.Mailbox()
			send(t, w.postfix.Addr(service), Mail{To: []string{to}, Data: Bounce("d2", to, ours, unknownUser)})
			m := delivered(t, box, 1)[0]
			tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
			kept(t, m)
			counted(t, w.daemon, before, count(3*8, "forged_headers_total"))
		})
	}
}

// A bounce that Postfix makes, because a remote server refuses at RCPT or after
// DATA, reaches the daemon through non_smtpd_milters: issue 2, check (e).
func TestOwnBounces(t *testing.T) {
	w := theWorld(t)
	for _, c := range []struct{ recipient, category, kind, reason, status, code string }{
		{"nobody@remote.test", "invalid-address", "hard", "unknown-recipient", "5.1.1", "550"},
		{"full@other.remote.test", "mailbox-full", "soft", "mailbox-full", "5.2.2", "552"},
		{"spam@remote.test", "sender-reputation", "block", "spam-content", "5.7.1", "554"},
	} {
		t.Run(c.recipient, func(t *testing.T) {
			before := scrape(t, w.daemon)
			from, box := w.postfix.Mailbox()
			send(t, w.postfix.Addr("plain"), Mail{From: from, To: []string{c.recipient}, Data: Ordinary("e", c.recipient, nil, 1000)})
			results := tagged(t, delivered(t, box, 1)[0], c.category, c.kind, c.reason, "failed")
			if len(results) != 1 {
				t.Fatalf("%d results, want 1", len(results))
			}
			result(t, results[0], c.recipient, map[string]string{"status": c.status, "smtp-code": c.code})
			counted(t, w.daemon, before, count(1, "bounces_total", fmt.Sprintf("category=%q", c.category), fmt.Sprintf("type=%q", c.kind)))
		})
	}
	t.Run("three at once", func(t *testing.T) {
		from, box := w.postfix.Mailbox()
		all := []string{"full+1@remote.test", "nobody+1@remote.test", "nobody+2@remote.test", "fine@remote.test"}
		send(t, w.postfix.Addr("tcp"), Mail{From: from, To: all, Data: Ordinary("e3", all[0], nil, 1000)})
		results := tagged(t, delivered(t, box, 1)[0], "invalid-address", "hard", "unknown-recipient", "failed")
		if len(results) != 3 {
			t.Errorf("%d results, want 3", len(results))
		}
		if _, err := w.remote.Wait("fine@remote.test", 1); err != nil {
			t.Error(err)
		}
	})
}
