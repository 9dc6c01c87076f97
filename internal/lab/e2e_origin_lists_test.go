//go:build e2e

package lab

import (
	"fmt"
	"testing"
)

// With [origin], the shield of our recipe lets a bounce reach the list manager only if it
// is proved that the list's mail went to everybody whom it names. Whoever is on the list
// gets its mail, ticket and all, and could write the others.
func TestShieldByOrigin(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	manager, err := l.StartRemote(func(string, string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	processor := "news-bounces@" + listDomain
	s := newShielded(t, l, ports[0], []string{"inline:{" + processor + "=boss@lab.test}"},
		fmt.Sprintf("inline:{%s=smtp:[127.0.0.1]:%s}", listDomain, port(manager.Addr)), "")
	s.daemon.Tables = originTable(t, l, key, fmt.Sprintf("%q", listDomain), `networks = ["127.0.0.0/8"]`)
	s.start(t)

	// The mail of the list goes out to one member.
	in := s.postfix.Addr("in")
	news := fmt.Appendf(nil, "Date: Sat, 28 Nov 2026 01:00:00 +0000\nFrom: ann@%s\nTo: news@%[1]s\nSubject: News\nMessage-ID: <news@%[1]s>\n\nHello.\n", listDomain)
	send(t, in, Mail{From: processor, To: []string{"fine@remote.test"}, Data: news})
	got, err := s.remote.Wait("fine@remote.test", 1)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got[0].Tags("X-Bounce-Ticket")); n != 1 {
		t.Fatalf("%d tickets on the list's mail:\n%s", n, head(got[0].Message))
	}
	report := func(id string, returned []byte, members ...string) Mail {
		var refused []Refused
		for _, m := range members {
			r := asGone
			r.Address = m
			refused = append(refused, r)
		}
		data := Bounce(id, processor, nil, refused...)
		if returned != nil {
			data = Returning(id, processor, returned, refused...)
		}
		return Mail{To: []string{processor}, Data: data}
	}
	ticket := got[0].Raw
	send(t, in,
		report("proved", ticket, "fine@remote.test"),
		report("replayed", ticket, "victim@remote.test"),
		report("both", ticket, "fine@remote.test", "victim@remote.test"),
		report("invented", nil, "fine@remote.test"))
	s.diverted(t, "<both@mx.remote.test> X-Bounce-Type: hard", "<invented@mx.remote.test> X-Bounce-Type: hard", "<replayed@mx.remote.test> X-Bounce-Type: hard")
	counted, err := manager.Wait(processor, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(counted) != 1 || counted[0].Get("Message-Id") != "<proved@mx.remote.test>" {
		t.Errorf("%d bounces reached the list manager, the first is\n%s", len(counted), head(counted[0].Message))
	}
}
