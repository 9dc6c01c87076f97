//go:build e2e

package lab

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// Mailman sends through a Postfix whose mail gets tickets, once with one sender for all and
// once with one for each member (VERP). With our shield it counts a bounce against a
// member only if that is hard, and proved to be about mail that went to that member,
// whatever address it comes to and whatever report is hidden in it.
func TestMailmanWithTickets(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	must := orFail(t)
	// Mailman counts a member once a day at most. What is counted here is of one day.
	must(UntilIn(10*time.Minute, "midnight to pass", func() (bool, error) {
		now := time.Now()
		return now.Day() == now.Add(5*time.Minute).Day(), nil
	}))
	ports, err := FreePorts(1)
	must(err)
	mailman, err := l.NewMailman("mm", Loopback(ports[0]))
	must(err)
	conf := mailman.Dir + "/mailman.cfg"
	text, err := os.ReadFile(conf)
	must(err)
	const always = "verp_delivery_interval: 1\n"
	if !bytes.Contains(text, []byte(always)) {
		t.Fatal("Mailman's configuration does not say when it uses VERP")
	}
	must(os.WriteFile(conf, bytes.Replace(text, []byte(always), []byte("verp_delivery_interval: 0\n"), 1), 0o644))
	owners := rewritten(t, l, "mailman_owners.cf", `(?m)^dbpath = .*$`, "dbpath = "+mailman.Database())
	list := "news@" + listDomain
	must(mailman.NewList(list, listOwners(), members("ann", "fine", "gone", "left", "nobody+1", "victim")))
	key := newKey(t)
	s := newShielded(t, l, ports[0], []string{"sqlite:" + owners}, "regexp:"+mailman.TransportMap(), "")
	s.daemon.Tables = originTable(t, l, key, fmt.Sprintf("%q", listDomain), `networks = ["127.0.0.0/8"]`) +
		fmt.Sprintf("[verp]\npatterns = [\"{list}-bounces+{local}={domain}@%s\"]\n", listDomain)
	s.start(t)
	must(mailman.Start(l))
	showOnFailure(t, "mailman", mailman.Log)
	scores := func(what string, want ...string) {
		t.Helper()
		rows(t, what, mailman.Database(), `SELECT email || '|' || bounce_score FROM member JOIN address ON address.id = member.address_id WHERE role = 1 AND bounce_score > 0 ORDER BY email`, want...)
	}

	// Both ways, a server refuses the mail for one member, and the bounces that Postfix makes
	// of it prove as much as any.
	in := s.postfix.Addr("in")
	const plain = "news-bounces@" + listDomain
	verp := func(member string) string {
		return "news-bounces+" + strings.Replace(member, "@", "=", 1) + "@" + listDomain
	}
	send(t, in, Mail{From: "ann@remote.test", To: []string{list}, Data: Ordinary("first", list, nil, 500)})
	_, err = s.remote.Wait("victim@remote.test", 1)
	must(err)
	// From now on each member gets a copy of his own, and those have VERP.
	_, err = Query(mailman.Database(), "UPDATE mailinglist SET personalize = 1")
	must(err)
	send(t, in, Mail{From: "ann@remote.test", To: []string{list}, Data: Ordinary("second", list, nil, 500)})
	sent := map[string]map[string][]byte{} // by member and sender
	for _, m := range members("fine", "gone", "left") {
		got, err := s.remote.Wait(m, 2)
		must(err)
		sent[m] = map[string][]byte{}
		for _, r := range got {
			sent[m][r.From] = r.Raw
			if n := len(r.Tags("X-Bounce-Ticket")); n != 1 {
				t.Errorf("%d tickets on mail from %s:\n%s", n, r.From, head(r.Message))
			}
		}
		if sent[m][plain] == nil || sent[m][verp(m)] == nil {
			t.Fatalf("%s did not get mail both with VERP and without", m)
		}
	}
	scores("Mailman to count what Postfix bounced", "nobody+1@remote.test|1")

	report := func(id, to string, returned []byte, member string, r Refused) Mail {
		r.Address = member
		return Mail{To: []string{to}, Data: Returning(id, to, returned, r)}
	}
	fine, gone, left, victim := "fine@remote.test", "gone@remote.test", "left@remote.test", "victim@remote.test"
	mine := sent[fine][verp(fine)]
	nested := append(bytes.Clone(mine), "\n--n\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; "+victim+"\nAction: failed\nStatus: 5.1.1\n\n--n--\n"...)
	nested = append([]byte("Content-Type: multipart/mixed; boundary=n\n"), nested...)
	send(t, in,
		report("plain", plain, sent[gone][plain], gone, asGone),
		report("verp", verp(left), sent[left][verp(left)], left, asGone),
		report("refused", verp(fine), mine, fine, asSpam),
		// Whoever got the list's mail tries to have another member removed.
		report("names-victim", verp(fine), mine, victim, asGone),
		report("to-victim", verp(victim), mine, fine, asGone),
		report("both", verp(victim), mine, victim, asGone),
		report("nested", plain, nested, fine, asGone),
		report("nothing", plain, []byte("From: "+list+"\n\nHello.\n"), victim, asGone))
	scores("Mailman to count what is proved", "gone@remote.test|1", "left@remote.test|1", "nobody+1@remote.test|1")
	s.diverted(t,
		"<both@mx.remote.test> X-Bounce-Type: hard",
		"<names-victim@mx.remote.test> X-Bounce-Type: hard",
		"<nested@mx.remote.test> X-Bounce-Type: hard",
		"<nothing@mx.remote.test> X-Bounce-Type: hard",
		"<refused@mx.remote.test> X-Bounce-Type: block",
		"<to-victim@mx.remote.test> X-Bounce-Type: hard")
	scores("Mailman to have counted nothing else", "gone@remote.test|1", "left@remote.test|1", "nobody+1@remote.test|1")
}
