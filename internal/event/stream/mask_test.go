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
				// A name within a longer word or within a host's name is not masked.
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

// The hash is HMAC-SHA-256, so that whoever has the key can look an address up. The example
// is that of RFC 4231 section 4.3, whose text is in lower case.
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

// Other places in which there are addresses.
func TestMaskEverywhere(t *testing.T) {
	r := &event.Record{VERP: "carla@example.com",
		Recipient: classify.Recipient{Address: `"Carla Stone"@Example.com`, Original: "carla@example.com (Carla Stone)",
			Diagnostic: "550 Carla Stone, see http://mx.example/?u=dora%2540example.net or erik&#64;example.net, fritz\uFF20example.net"},
		Returned: event.Returned{MessageID: "carla=example.com.17@news.example.org", Date: "carla@example.com"},
		Feedback: &event.Feedback{Type: "abuse", SourceIP: "192.0.2.7", ArrivalDate: "<carla@example.com>"}}
	for _, how := range []Addresses{AddressesDomain, AddressesHashed} {
		m := &masker{how: how, key: []byte("k")}
		got := m.record(r)
		text, err := got.JSON()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"carla", "stone", "dora", "erik", "fritz"} {
			if strings.Contains(strings.ToLower(string(text)), p) {
				t.Errorf("%s: %s is in %s", how, p, text)
			}
		}
		if got.Feedback.SourceIP != "192.0.2.7" || r.Feedback.ArrivalDate != "<carla@example.com>" {
			t.Errorf("%s: %+v of %+v", how, got.Feedback, r.Feedback)
		}
		if how == AddressesDomain && (got.Original != "example.com" || got.Returned.MessageID != "news.example.org") {
			t.Errorf("domains: %s", text)
		}
	}
}

// A Message-ID that names a recipient is masked; others are not.
func TestMaskMessageID(t *testing.T) {
	m := &masker{how: AddressesDomain}
	for id, want := range map[string]string{
		"4711.x@news.example.org":          "4711.x@news.example.org",
		"jo=example.com.1@n.example.org":   "n.example.org",
		"JO-1@n.example.org":               "n.example.org",
		"joint.1@n.example.org":            "joint.1@n.example.org",
		"1_fritz.k_17@n.example.org":       "n.example.org",
		"17@jo.example.org":                "17@jo.example.org",
		"":                                 "",
		"fritz.k":                          "",
		"20261127.abcdef$1@mx.example.org": "20261127.abcdef$1@mx.example.org",
	} {
		if got := m.messageID(id, "jo@example.com", "", "fritz.k+n@example.com"); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
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
