package stream

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/event/jetstream"
	"github.com/bounce-milter/bounce-milter/internal/event/webhook"
	"github.com/bounce-milter/bounce-milter/internal/lab/smalldisk"
)

// What is wrong with the spool's folder is reported before it is used. Temporary problems
// are reported separately.
func TestCheckHost(t *testing.T) {
	mine, others := spoolFolder(t), spoolFolder(t)
	me := os.Geteuid()
	o := options(mine, "a")
	o.Sinks[0].File.Path = "-"
	check := func(dir string, uid int, want string) {
		t.Helper()
		o.Spool = dir
		got := o.CheckHost(uid).Error()
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s for %d: %q, want %q", dir, uid, got, want)
		}
	}
	check(mine, me, "")
	check(mine, -1, "")
	check(mine, me+54321, fmt.Sprintf("events.spool: the folder %s belongs to ", mine))
	check(filepath.Join(mine, "x"), me, fmt.Sprintf("events.spool: the folder %s/x does not exist: create it with install -d -m 0700 -o ", mine))
	if os.Chown(others, 54321, -1) == nil {
		check(others, me, fmt.Sprintf("events.spool: the folder %s belongs to user 54321 and the daemon runs as ", others))
		check(others, 54321, "")
	}
	if ps := o.CheckRoom(); len(ps) > 0 {
		t.Errorf("room: %v", ps)
	}
	o.Sinks = nil
	check("/nowhere", me, "") // not used without sinks
}

// A disk without room is reported. It does not keep the daemon from mail.
func TestCheckRoom(t *testing.T) {
	smalldisk.Run(t, "64k", func(t *testing.T, full string) {
		o := options(full, "a")
		if got := o.CheckRoom().Error(); !strings.HasPrefix(got, "events.spool: the disk of the folder "+full+" has only 64 KiB free: make room") {
			t.Errorf("full: %q", got)
		}
		if err := newLab(&fake{name: "a"}).begin(o); err != nil {
			t.Errorf("a full disk keeps the daemon from mail: %v", err)
		}
	})
}

// There is a warning about a key that can be guessed.
func TestWarnKey(t *testing.T) {
	o := options("", "a")
	o.Sinks[0].Addresses, o.Sinks[0].AddressKeyFile = AddressesHashed, filepath.Join(t.TempDir(), "key")
	for key, want := range map[string]string{"Jefe\n": "events.sink.address_key_file: the key in ", strings.Repeat("k", goodKey): ""} {
		if err := os.WriteFile(o.Sinks[0].AddressKeyFile, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := o.Warn().Error(); want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	o := Options{ReturnedHeaders: []string{"list-id", "X-Mailing-ID", "x-mailing-id"}}
	if got := o.Headers(); !slices.Equal(got, append(slices.Clone(AlwaysReturned), "X-Mailing-ID")) {
		t.Errorf("headers %q", got)
	}
}

// TestFiles checks that a reload notices each file that a sink was opened with.
func TestFiles(t *testing.T) {
	o := Options{Sinks: []SinkOptions{
		{Type: TypeFile, Addresses: AddressesHashed, AddressKeyFile: "/key"},
		{Type: TypeWebhook, Webhook: webhook.Options{SecretFile: "/secret", CAFile: "/ca"}},
		{Type: TypeNATS, NATS: jetstream.Options{CredentialsFile: "/creds", CAFile: "/ca2", CertFile: "/cert", KeyFile: "/key2"}},
	}}
	want := []string{"/key", "/secret", "/ca", "/creds", "/ca2", "/cert", "/key2"}
	if got := o.Secrets(); !slices.Equal(got, want) {
		t.Errorf("Secrets() = %q, want %q", got, want)
	}
}
