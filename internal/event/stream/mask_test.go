package stream

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/event"
)

func personal() *event.Record {
	return &event.Record{
		ID: "01JDKQ", EnvelopeFrom: "MAILER-DAEMON@mx.Example.net", EnvelopeTo: []string{"bounces+carla=example.com@lists.example.org"},
		VERP: "carla@example.com", Token: "tok-4711",
		Recipient: classify.Recipient{Address: "Carla.Stone+news@Example.com", Original: "carla@alias.example",
			Diagnostic: "550 5.1.1 <carla.stone+NEWS@example.com>: user Carla.Stone in carlas list unknown; rcpt=dora@example.net, " +
				`"quoted one"@example.org see http://mx.example/?u=erik%40example.org mx.carla.example`,
			RemoteMTA: "mx.example.com"},
		Returned: event.Returned{MessageID: "x@y", From: "Carla <carla@alias.example>",
			Headers: map[string]string{"List-Id": "<l.example.org>", "Feedback-ID": "fritz@example.org:7"}},
	}
}

func TestMask(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("Jefe\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, how := range AllAddresses {
		t.Run(string(how), func(t *testing.T) {
			m, err := newMasker(&SinkOptions{Addresses: how, AddressKeyFile: key})
			if err != nil {
				t.Fatal(err)
			}
			give := personal()
			before, _ := json.Marshal(give)
			got := m.record(give)
			if after, _ := json.Marshal(give); string(after) != string(before) {
				t.Errorf("the record itself was changed: %s", after)
			}
			text, err := got.JSON()
			if err != nil {
				t.Fatal(err)
			}
			if how == AddressesFull {
				if got != give {
					t.Errorf("changed: %s", text)
				}
				return
			}
			for _, p := range []string{"carla", "dora", "erik", "fritz", "quoted", "tok-", "mailer-daemon"} {
				// A name within a longer word or a host's name is nobody's.
				rest := strings.NewReplacer("carlas list", "", "mx.carla.example", "").Replace(strings.ToLower(string(text)))
				if strings.Contains(rest, p) {
					t.Errorf("%s is in %s", p, rest)
				}
			}
			want := map[Addresses]string{
				AddressesDomain: "550 5.1.1 <example.com>: user *** in carlas list unknown; example.net, example.org see http:example.org mx.carla.example",
				AddressesHashed: "550 5.1.1 <H>: user H in carlas list unknown; H, H see http:H mx.carla.example",
			}[how]
			hash := regexp.MustCompile(`[0-9a-f]{64}`)
			if d := hash.ReplaceAllString(got.Diagnostic, "H"); d != want {
				t.Errorf("diagnostic\n%s\nwant\n%s", d, want)
			}
			if got.Returned.MessageID != "x@y" || got.RemoteMTA != "mx.example.com" || got.Returned.Headers["List-Id"] != "<l.example.org>" {
				t.Errorf("what is no address was changed: %s", text)
			}
			if how == AddressesHashed && !strings.Contains(got.Diagnostic, got.Address) {
				t.Errorf("the recipient is %s here and another there: %s", got.Address, got.Diagnostic)
			}
			if how == AddressesDomain && (got.Address != "example.com" || got.EnvelopeTo[0] != "lists.example.org" || got.Token != "") {
				t.Errorf("domains: %s", text)
			}
		})
	}
}

// The hash is HMAC-SHA-256, so that who has the key can find an address: RFC 4231
// section 4.3, whose text is in lower case.
func TestHash(t *testing.T) {
	m := &masker{how: AddressesHashed, key: []byte("Jefe")}
	const want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	if got := m.address("What Do ya want for nothing?"); got != want {
		t.Errorf("got %s", got)
	}
	if m.address("a@EXAMPLE.com") != m.address("A@example.com") || m.address("a@example.com") == m.address("b@example.com") || m.address("") != "" {
		t.Error("one hash an address")
	}
}

func FuzzMask(f *testing.F) {
	f.Add("550 <carla@example.com> carla unknown", "carla@example.com")
	f.Add("@@%40@\"", "@")
	f.Add("@@ 00@0", "0")
	f.Add("\"a\"@[192.0.2.1", "\"a\"@[192.0.2.1]")
	f.Fuzz(func(t *testing.T, s, address string) {
		for _, how := range []Addresses{AddressesDomain, AddressesHashed} {
			m := &masker{how: how, key: []byte("k")}
			got := m.text(s, []string{address})
			if how == AddressesHashed && strings.Contains(got, "@") {
				t.Errorf("%q: %q has an address", s, got)
			}
		}
	})
}
