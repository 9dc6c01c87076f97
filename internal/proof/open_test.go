package proof

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/origin"
)

// keyFile writes a key file.
func keyFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ticket.keys")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

// options has one domain and one key.
func options(t *testing.T) Options {
	t.Helper()
	o := DefaultOptions()
	o.Domains = []string{"example.org"}
	o.KeyFile = keyFile(t, origin.GenerateKey(time.Now())+"\n", 0o600)
	return o
}

// Key files that are missing, short, malformed or for all to read are refused with the
// mend, both by CheckHost and by Open.
func TestKeyFiles(t *testing.T) {
	good := origin.GenerateKey(time.Now()) + "\n"
	for name, tt := range map[string]struct {
		path string
		want string // "" for none; %s is the file
	}{
		"good":      {keyFile(t, good, 0o600), ""},
		"missing":   {"/nowhere/ticket.keys", `origin.key_file: the key file %s does not exist: make it with "bounce-milter ticket keygen`},
		"short":     {keyFile(t, "a c2hvcnQ=\n", 0o600), "origin.key_file: the key file %s: line 1: the key has 5 octets, and needs 32: make one"},
		"malformed": {keyFile(t, good+"what is this\n", 0o600), "origin.key_file: the key file %s: line 2: has 3 words: write a name"},
		"empty":     {keyFile(t, "", 0o600), "origin.key_file: the key file %s: no key is in it"},
		"for all":   {keyFile(t, good, 0o644), "origin.key_file: the key file %s has mode 0644, so that everybody may use it: chmod 600"},
		"folder":    {t.TempDir(), "origin.key_file: the key file %s is no regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			o.KeyFile = tt.path
			want := strings.ReplaceAll(tt.want, "%s", tt.path)
			check := func(where, got string) {
				if want == "" && got != "" || !strings.HasPrefix(got, want) {
					t.Errorf("%s: %q, want %q", where, got, want)
				}
			}
			check("CheckHost", o.CheckHost(-1).Error())
			e, err := Open(o)
			if err != nil {
				check("Open", err.Error())
			} else if e == nil || e.Keys == nil || want != "" {
				t.Errorf("Open: %+v, want the error %q", e, want)
			}
		})
	}
	o := options(t)
	if ps := o.CheckHost(54321); len(ps) != 1 || !strings.Contains(ps.Error(), "and the daemon runs as user 54321, who cannot read it: chown 54321 ") {
		t.Errorf("for another user: %v", ps)
	}
	o.Domains, o.KeyFile = nil, "/nowhere"
	if e, err := Open(o); e != nil || err != nil {
		t.Errorf("without domains: %v, %v", e, err)
	}
	if ps := o.CheckHost(-1); len(ps) > 0 {
		t.Errorf("without domains: %v", ps)
	}
}

func TestWarn(t *testing.T) {
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"all is well":     {func(o *Options) {}, ""},
		"own networks":    {func(o *Options) { o.Networks = prefixes("10.0.0.0/8", "2001:db8::/32", "127.0.0.1/32") }, ""},
		"the world":       {func(o *Options) { o.Networks = prefixes("192.0.2.0/24", "0.0.0.0/0") }, "origin.networks: 0.0.0.0/0 covers a large part"},
		"half of it":      {func(o *Options) { o.Networks = prefixes("128.0.0.0/1") }, "origin.networks: 128.0.0.0/1 covers a large part"},
		"the world of v6": {func(o *Options) { o.Networks = prefixes("2000::/3") }, "origin.networks: 2000::/3 covers a large part"},
		"not yet":         {func(o *Options) { o.TicketSince = now.AddDate(0, 0, 3) }, "origin.ticket_since: is in the future"},
		"no proof":        {func(o *Options) { o.KeyFile = "" }, "origin.domains: nothing can prove"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			tt.change(&o)
			got := o.Warn(now).Error()
			if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if ps := o.Validate(); len(ps) > 0 {
				t.Errorf("not valid: %v", ps)
			}
		})
	}
}

func prefixes(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func TestFiles(t *testing.T) {
	o := Options{KeyFile: "/a", DKIM: []DKIM{{PublicKeyFile: "/b"}, {DNS: true}}}
	if got := o.Files(); !slices.Equal(got, []string{"/a", "/b"}) {
		t.Errorf("%q", got)
	}
}
