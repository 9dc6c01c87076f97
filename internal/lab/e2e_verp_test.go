//go:build e2e

package lab

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/event"
)

// A bounce that comes back to an address made for one recipient says whom it is about, in
// its header and in its record, over every kind of socket; a complaint says it by the
// sender that it names.
func TestEnvelopeRecipients(t *testing.T) {
	w := theWorld(t)
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			l := newLab(t)
			sockets, err := l.SocketDir("pf")
			if err != nil {
				t.Fatal(err)
			}
			ports, err := FreePorts(1)
			if err != nil {
				t.Fatal(err)
			}
			listen, spec := "unix:"+sockets+"/m.sock", "unix:milter/m.sock"
			if network == "tcp" {
				listen = "inet:" + Loopback(ports[0])
				spec = listen
			}
			file := l.Path("events.jsonl")
			d, err := l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{listen}, Top: "socket_group = \"postfix\"\n", Tables: `
[verp]
patterns = ["user0+{local}={domain}@lab.test", "user0+{token}@lab.test"]
[[events.sink]]
name = "file"
type = "file"
path = "` + file + `"
`})
			if err != nil {
				t.Fatal(err)
			}
			showOnFailure(t, "bounce-milter", d.Log)
			postfix, err := l.StartPostfix("pf", PostfixConfig{Services: []Service{{Name: "in", Milters: spec}}, OwnBounces: spec, Remote: w.remote.Addr, Main: "recipient_delimiter = +\n"})
			if err != nil {
				t.Fatal(err)
			}
			showOnFailure(t, "postfix", postfix.Log)
			to, box := postfix.Mailbox()
			user, _, _ := strings.Cut(to, "@")
			verp := user + "+ann+x=example.com@lab.test"

			send(t, postfix.Addr("in"),
				Mail{To: []string{verp, to}, Data: Bounce("v1", verp, nil, unknownUser)},
				Mail{From: "ann@remote.test", To: []string{verp}, Data: Ordinary("v2", verp, nil, 1000)},
				Mail{To: []string{user + "+2026-ab@lab.test"}, Data: Bounce("v3", to, nil, overQuota)},
				Mail{From: "fbl@remote.test", To: []string{to}, Data: []byte(complaint(user))},
			)
			for _, m := range delivered(t, box, 5) {
				switch id := m.Get("Message-Id"); id {
				case "<v1@mx.remote.test>":
					results := tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
					result(t, results[0], "gone@remote.test", map[string]string{"verp": "ann+x@example.com"})
				case "<v3@mx.remote.test>":
					results := tagged(t, m, "mailbox-full", "soft", "mailbox-full", "failed")
					result(t, results[0], "full@gmail.example", nil)
				case "<c1@remote.test>":
					if got := m.Get("X-Bounce-Result"); !strings.HasPrefix(got, "ann@example.com; feedback-type=abuse; source-ip=192.0.2.7") || m.Get("X-Bounce-Kind") != "feedback" {
						t.Errorf("a complaint got %q", got)
					}
				default:
					if tags := m.Tags("X-Bounce-"); len(tags) > 0 {
						t.Errorf("ordinary mail %s is tagged: %v", id, tags)
					}
				}
			}
			want := []func(*event.Record) bool{
				func(r *event.Record) bool {
					return r.Kind == "dsn" && r.Address == "gone@remote.test" && r.VERP == "ann+x@example.com" && len(r.EnvelopeTo) == 2 &&
						r.EnvelopeTo[0] == verp && r.EnvelopeFrom == "" && r.QueueID != "" && r.Host != ""
				},
				func(r *event.Record) bool {
					return r.Address == "full@gmail.example" && r.VERP == "" && r.Token == "2026-ab"
				},
				func(r *event.Record) bool {
					return r.Kind == "feedback" && r.Address == "ann@example.com" && r.Feedback != nil && r.Feedback.Type == "abuse" &&
						r.Returned.MessageID == "m1@lab.test" && r.Returned.Headers["List-Id"] == "<news.lab.test>" && r.EnvelopeFrom == "fbl@remote.test"
				},
			}
			var records []event.Record
			if err := Until("the records", func() (bool, error) {
				raw, _ := os.ReadFile(file) // it comes with the first record
				records = nil
				for line := range bytes.Lines(raw) {
					if err := CheckEvent(bytes.TrimSpace(line)); err != nil && bytes.HasSuffix(line, []byte("\n")) {
						return false, Never(err)
					}
					var r event.Record
					if err := json.Unmarshal(line, &r); err != nil {
						return false, nil // not all of it is written yet
					}
					records = append(records, r)
				}
				return len(records) >= len(want), nil
			}); err != nil {
				t.Fatal(err)
			}
			for i := range records {
				if i >= len(want) || !want[i](&records[i]) {
					t.Errorf("record %d is %+v", i, records[i])
				}
			}
			counted(t, d, Metrics{}, count(1, "feedback_total", `type="abuse"`))
			noRaces(t, d)
		})
	}
}

// complaint is an abuse report that does not say whom it is about.
func complaint(user string) string {
	return `From: fbl@remote.test
To: ` + user + `@lab.test
Message-ID: <c1@remote.test>
Subject: Abuse report
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Loop/1
Version: 1
Source-IP: 192.0.2.7
Original-Mail-From: <` + user + `+ann=example.com@lab.test>

--b
Content-Type: text/rfc822-headers

From: news@lab.test
To: redacted@example.com
Message-ID: <m1@lab.test>
List-Id: <news.lab.test>

--b--
`
}
