//go:build e2e

package lab

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/lab/natslab"
)

// A bounce through Postfix is a record in the stream of a cluster of three, also when
// the cluster comes up after the daemon.
func TestEventsNATS(t *testing.T) {
	l := newLab(t)
	ports, err := FreePorts(7)
	if err != nil {
		t.Fatal(err)
	}
	socket := "inet:" + Loopback(ports[6])
	var urls []string
	for i := range 3 {
		urls = append(urls, fmt.Sprintf("%q", "nats://"+Loopback(ports[2*i])))
	}
	spool, err := l.mkdir(0o700, 0, 0, "spool")
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{socket},
		Tables: "[events]\nspool = \"" + spool + "\"\n[[events.sink]]\nname = \"fleet\"\ntype = \"nats\"\nservers = [" + strings.Join(urls, ", ") + "]\n"})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "bounce-milter", d.Log)
	t.Cleanup(func() { noRaces(t, d) })
	pf, err := l.StartPostfix("pf", PostfixConfig{Services: []Service{{Name: "tcp", Milters: socket}}})
	if err != nil {
		t.Fatal(err)
	}
	to, _ := pf.Mailbox()
	send(t, pf.Addr("tcp"), Mail{To: []string{to}, Data: Bounce("first", to, nil, unknownUser, overQuota)})

	dir, err := l.mkdir(0o700, 0, 0, "nats")
	if err != nil {
		t.Fatal(err)
	}
	servers, err := natslab.Start(natslab.Config{Dir: dir, Ports: ports[:6]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(servers.Close)
	nc, js, err := servers.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if err := servers.CreateStream(js, "BOUNCES", "bounces.*"); err != nil {
		t.Fatal(err)
	}
	send(t, pf.Addr("tcp"), Mail{To: []string{to}, Data: Bounce("second", to, nil, unknownUser)})
	var all []natslab.Message
	err = Until("the records", func() (bool, error) {
		all, err = natslab.Messages(js, "BOUNCES")
		return len(all) >= 3, err
	})
	if err != nil {
		t.Fatal(err)
	}
	var subjects []string
	for _, m := range all {
		var r event.Record
		if err := json.Unmarshal(m.Data, &r); err != nil || r.ID != m.ID || r.QueueID == "" {
			t.Errorf("%s holds %s (%v)", m.ID, m.Data, err)
		}
		if err := CheckEvent(m.Data); err != nil {
			t.Error(err)
		}
		subjects = append(subjects, m.Subject)
	}
	if got := strings.Join(subjects, " "); got != "bounces.invalid-address bounces.mailbox-full bounces.invalid-address" {
		t.Errorf("the subjects are %s", got)
	}
}
