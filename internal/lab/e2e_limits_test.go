//go:build e2e

package lab

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// An internationalised report (RFC 6533) keeps its addresses in UTF-8.
func TestSMTPUTF8(t *testing.T) {
	w := theWorld(t)
	report := func(to string) []byte {
		b := Bounce("utf8", to, nil, Refused{Address: "ADDRESS", Status: "5.1.1", RemoteMTA: "mx.remote.test",
			Diagnostic: "550 5.1.1 <пользователь@пример.example>: User unknown"})
		s := strings.ReplaceAll(string(b), "rfc822; ADDRESS", "utf-8; пользователь@пример.example")
		s = strings.ReplaceAll(s, "message/delivery-status", "message/global-delivery-status")
		s = strings.ReplaceAll(s, "ADDRESS", "пользователь@пример.example")
		return []byte(s)
	}
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			to, box := w.postfix.Mailbox()
			send(t, w.postfix.Addr(service),
				Mail{To: []string{to}, Args: "SMTPUTF8 BODY=8BITMIME", Data: report(to)},
				Mail{From: "гриша@remote.test", To: []string{to}, Args: "SMTPUTF8", Data: Ordinary("utf8b", to, []string{"X-Bounce-Type: ж", "Comments: ж"}, 500)})
			for _, m := range delivered(t, box, 2) {
				if m.Get("Message-Id") != "<utf8@mx.remote.test>" {
					if len(m.Tags("X-Bounce-")) > 0 || m.Get("Comments") != "ж" {
						t.Errorf("ordinary SMTPUTF8 mail arrived as\n%s", head(m))
					}
					continue
				}
				results := tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
				result(t, results[0], "пользователь@пример.example", map[string]string{"status": "5.1.1", "smtp-code": "550"})
			}
		})
	}
}

// A message to 50 recipients and a report about 60: the envelope's number is
// nothing to us, the report gets 50 results and one that says how many more.
func TestManyRecipients(t *testing.T) {
	w := theWorld(t)
	before := scrape(t, w.daemon)
	var to []string
	var boxes []Maildir
	var refused []Refused
	for range 50 {
		addr, box := w.postfix.Mailbox()
		to, boxes = append(to, addr), append(boxes, box)
	}
	for i := range 60 {
		r := unknownUser
		r.Address = fmt.Sprintf("gone%d@remote.test", i)
		r.Diagnostic = strings.ReplaceAll(r.Diagnostic, unknownUser.Address, r.Address)
		refused = append(refused, r)
	}
	send(t, w.postfix.Addr("tcp"), Mail{To: to, Data: Bounce("many", to[0], nil, refused...)})
	for _, box := range boxes {
		results := tagged(t, delivered(t, box, 1)[0], "invalid-address", "hard", "unknown-recipient", "failed")
		if len(results) != 51 {
			t.Fatalf("%d results, want 51", len(results))
		}
		result(t, results[49], "gone49@remote.test", map[string]string{"type": "hard"})
		if last := results[50][""]; !strings.Contains(last, "10") {
			t.Errorf("the last result is %q, want one that says 10 more", last)
		}
	}
	counted(t, w.daemon, before,
		count(60, "bounces_total", `category="invalid-address"`),
		count(1, "messages_total", `kind="dsn"`))
}

// Bodies of 20 MB pass whole, a bounce's and ordinary ones, and cost the daemon
// no memory to speak of.
func TestLargeBodies(t *testing.T) {
	w := theWorld(t)
	const size = 20 << 20
	before := scrape(t, w.daemon)
	resident, err := w.daemon.Resident()
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"unix-chroot", "tcp"} {
		t.Run(service, func(t *testing.T) {
			to, box := w.postfix.Mailbox()
			bounce := Bounce("big", to, nil, unknownUser)
			bounce = bytes.Replace(bounce, []byte("\nHello.\n"), append([]byte("\n"), bytes.Repeat([]byte(strings.Repeat("y", 76)+"\n"), size/77)...), 1)
			ordinary := Ordinary("big2", to, []string{"X-Bounce-Kind: forged"}, size)
			send(t, w.postfix.Addr(service),
				Mail{To: []string{to}, Data: bounce}, Mail{From: "ann@remote.test", To: []string{to}, Data: ordinary})
			for _, m := range delivered(t, box, 2) {
				sent := bounce
				if m.Get("Message-Id") == "<big2@remote.test>" {
					sent = ordinary
					if len(m.Tags("X-Bounce-")) > 0 {
						t.Error("the forged field is left")
					}
				} else {
					tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
				}
				_, want, _ := bytes.Cut(sent, []byte("\n\n"))
				if _, got, _ := bytes.Cut(m.Raw, []byte("\n\n")); !bytes.Equal(got, want) {
					t.Errorf("the body of %s arrived with %d octets, sent with %d", m.Get("Message-Id"), len(got), len(want))
				}
			}
		})
	}
	counted(t, w.daemon, before, count(0, "errors_total"))
	after, err := w.daemon.Resident()
	if err != nil {
		t.Fatal(err)
	}
	// The race detector multiplies what the daemon holds; four bodies of 20 MB
	// kept would still show.
	if grown := after - resident; grown > 60<<20 {
		t.Errorf("resident memory grew by %d MiB", grown>>20)
	}
}

// What the client does between messages leaves no trace in the next one:
// aborts at every stage, pipelined RSETs, a refused recipient, a vanished client.
func TestAbortedTransactions(t *testing.T) {
	w := theWorld(t)
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			before := scrape(t, w.daemon)
			to, box := w.postfix.Mailbox()
			c, err := DialSMTP(w.postfix.Addr(service))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, lines := range [][]string{
				{"RSET"},
				{"MAIL FROM:<>", "RSET"},
				{"MAIL FROM:<ann@remote.test>", "RCPT TO:<" + to + ">", "RSET"},
				{"MAIL FROM:<>", "RCPT TO:<" + to + ">", "RSET", "RSET", "MAIL FROM:<ann@remote.test>", "RSET"},
				{"MAIL FROM:<>", "RCPT TO:<no-such-user@lab.test>", "RSET"},
				{"EHLO again.lab.test"},
			} {
				if _, err := c.Write([]byte(strings.Join(lines, "\r\n") + "\r\n")); err != nil {
					t.Fatal(err)
				}
				for range lines {
					if _, err := c.Read(); err != nil {
						t.Fatal(err)
					}
				}
			}
			// Dropped in the middle of DATA, on a connection of its own.
			dropped, err := DialSMTP(w.postfix.Addr(service))
			if err != nil {
				t.Fatal(err)
			}
			if err := dropped.Begin(Mail{To: []string{to}}); err != nil {
				t.Fatal(err)
			}
			dropped.Write(Bounce("dropped", to, nil, overQuota)[:700])
			dropped.Close()

			if _, err := c.Send(Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("f1", to, nil, 100)}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Send(Mail{To: []string{to}, Data: Bounce("f2", to, nil, unknownUser)}); err != nil {
				t.Fatal(err)
			}
			if err := c.Quit(); err != nil {
				t.Fatal(err)
			}
			for _, m := range delivered(t, box, 2) {
				if m.Get("Message-Id") == "<f2@mx.remote.test>" {
					if n := len(tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")); n != 1 {
						t.Errorf("%d results, want 1", n)
					}
				} else if len(m.Tags("X-Bounce-")) > 0 {
					t.Errorf("ordinary mail is tagged:\n%s", head(m))
				}
			}
			counted(t, w.daemon, before,
				count(1, "bounces_total"),
				count(0, "errors_total"),
				count(0, "sessions"))
		})
	}
}
