package webhook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// TestCheck checks the error for each wrong value. The complete messages are in the fixtures
// of package config.
func TestCheck(t *testing.T) {
	const key = "events.sink[3]"
	for name, tt := range map[string]struct {
		change func(*Options)
		want   []string // of problems, each
	}{
		"good":               {func(*Options) {}, nil},
		"a port, a query":    {func(o *Options) { o.URL = "http://[::1]:8080/x?token=abc" }, nil},
		"no path":            {func(o *Options) { o.URL = "https://crm.example.org" }, nil},
		"a name in Unicode":  {func(o *Options) { o.URL = "https://bücher.example/x" }, nil},
		"capitals":           {func(o *Options) { o.URL = "HTTPS://CRM.example.org/x" }, nil},
		"no URL":             {func(o *Options) { o.URL = "" }, []string{".url: is missing"}},
		"a path":             {func(o *Options) { o.URL = "/hooks" }, []string{".url: begins with neither"}},
		"a host":             {func(o *Options) { o.URL = "crm.example.org" }, []string{".url: begins with neither"}},
		"a host and a port":  {func(o *Options) { o.URL = "crm.example.org:8080/x" }, []string{".url: "}},
		"another scheme":     {func(o *Options) { o.URL = "ftp://crm.example.org/x" }, []string{".url: begins with neither"}},
		"no host":            {func(o *Options) { o.URL = "http://:8080/x" }, []string{".url: names no host"}},
		"opaque":             {func(o *Options) { o.URL = "https:crm.example.org/x" }, []string{".url: names no host"}},
		"a control":          {func(o *Options) { o.URL = "https://crm.example.org/\x00" }, []string{".url: is not a URL"}},
		"a space":            {func(o *Options) { o.URL = "https://crm example.org/" }, []string{".url: is not a URL"}},
		"user":               {func(o *Options) { o.URL = "https://t0p@crm.example.org/" }, []string{".url: contains a user's name"}},
		"user, broken":       {func(o *Options) { o.URL = "https://u:t0p@crm.example.org:x/" }, []string{".url: is not a URL"}},
		"fragment":           {func(o *Options) { o.URL = "https://crm.example.org/#" }, []string{`.url: has a part after "#"`}},
		"port 0":             {func(o *Options) { o.URL = "https://crm.example.org:0/" }, []string{".url: has port"}},
		"no port":            {func(o *Options) { o.URL = "https://crm.example.org:/" }, []string{".url: has port"}},
		"format":             {func(o *Options) { o.Format = "Native" }, []string{`.format: "Native" is not a format: write "native" or "listmonk"`}},
		"listmonk, no token": {func(o *Options) { o.Format, o.SecretFile = FormatListmonk, "" }, []string{".secret_file: is missing: listmonk"}},
		"unproven":           {func(o *Options) { o.Format, o.Unproven = FormatListmonk, "hard" }, []string{`.unproven: "hard" is not a choice here`}},
		"block":              {func(o *Options) { o.Format, o.Block = FormatListmonk, "hard" }, []string{`.block: "hard" is not a choice here`}},
		"all":                {func(o *Options) { *o = Options{} }, []string{".format", ".url", ".timeout", ".block"}},
		"forever":            {func(o *Options) { o.Timeout = time.Hour }, []string{".timeout: 1h0m0s is out of bounds"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := DefaultOptions()
			o.URL, o.SecretFile = "https://crm.example.org/hooks", "/etc/bounce-milter/crm.secret"
			tt.change(&o)
			var ps toml.Problems
			o.Check(&ps, key)
			if len(ps) != len(tt.want) {
				t.Fatalf("Check() adds\n%v", ps)
			}
			for i, p := range ps {
				got := strings.TrimPrefix(p.Key, key) + ": " + p.Message
				if !strings.Contains(got, tt.want[i]) || strings.Contains(got, "t0p") {
					t.Errorf("Check() adds %q, want %q", got, tt.want[i])
				}
			}
			if len(tt.want) == 0 {
				if _, err := parseURL(o.URL, o.Format); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestSecretFiles checks the errors and warnings about files of secrets, none of which quotes
// a secret.
func TestSecretFiles(t *testing.T) {
	const good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for name, tt := range map[string]struct {
		format Format
		text   string
		mode   os.FileMode
		want   string // of the problem, "" for none
		warn   string // likewise
	}{
		"good":              {FormatNative, good, 0o640, "", ""},
		"good, raw":         {FormatNative, "t0p secret words of some length", 0o600, "", ""},
		"short":             {FormatNative, good + "\nt0p secret", 0o600, "", "secret 2 of"},
		"empty":             {FormatNative, "", 0o600, "is empty", ""},
		"blank":             {FormatNative, " \n\t\n", 0o600, "is empty", ""},
		"everybody's":       {FormatNative, good, 0o644, "everybody may read", ""},
		"no base64":         {FormatNative, good + "\nwhsec_t0p-secret!", 0o600, "secret 2 of", ""},
		"nothing behind":    {FormatNative, "whsec_", 0o600, "secret 1 of", ""},
		"many":              {FormatNative, strings.Repeat("t0p\n", 9), 0o600, "contains 9 secrets", ""},
		"huge":              {FormatNative, strings.Repeat("t0p", 1<<16), 0o600, "longer than", ""},
		"token":             {FormatListmonk, "bounces:t0p\n", 0o600, "", ""},
		"token with prefix": {FormatListmonk, "whsec_x:t0p", 0o600, "", ""},
		"two tokens":        {FormatListmonk, "bounces:t0p\nothers:t0p", 0o600, "has 2 lines", ""},
		"no user":           {FormatListmonk, ":t0p", 0o600, "does not contain user:token", ""},
		"no token":          {FormatListmonk, "bounces:", 0o600, "does not contain user:token", ""},
		"only a token":      {FormatListmonk, "t0p", 0o600, "does not contain user:token", ""},
		"spaces":            {FormatListmonk, "bounces: t0p", 0o600, "no header may contain", ""},
		"a control":         {FormatListmonk, "bounces:t0p\x00", 0o600, "no header may contain", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := DefaultOptions()
			o.URL, o.Format, o.SecretFile = "https://crm.example.org"+listmonkPath, tt.format, secretFile(t, tt.text)
			if err := os.Chmod(o.SecretFile, tt.mode); err != nil {
				t.Fatal(err)
			}
			var ps, warnings toml.Problems
			o.CheckHost(&ps, "k")
			o.Warn(&warnings, "k")
			for _, say := range []struct {
				got  toml.Problems
				want string
			}{{ps, tt.want}, {warnings, tt.warn}} {
				if text := say.got.Error(); len(say.got) > 1 || (len(say.got) == 0) != (say.want == "") || !strings.Contains(text, say.want) || strings.Contains(text, "t0p") {
					t.Errorf("%q, want %q", text, say.want)
				}
			}
			if _, err := New(o, "1"); err != nil && strings.Contains(err.Error(), "t0p") || (err != nil) != (tt.want != "" && tt.mode == 0o600) {
				t.Errorf("New(): %v", err)
			}
		})
	}
}

// If a file is missing, New returns an error, not a sink that sends unsigned requests.
func TestNewNeedsItsFiles(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"secret":          func(o *Options) { o.SecretFile = filepath.Join(t.TempDir(), "none") },
		"certificates":    func(o *Options) { o.CAFile = filepath.Join(t.TempDir(), "none") },
		"no certificates": func(o *Options) { o.CAFile = secretFile(t, "words") },
		"user:token":      func(o *Options) { o.Format = FormatListmonk },
		"URL":             func(o *Options) { o.URL = "https://u:t0p@crm.example.org/" },
	} {
		o := DefaultOptions()
		o.URL = "https://crm.example.org/hooks"
		change(&o)
		if s, err := New(o, "1"); err == nil || s != nil || strings.Contains(err.Error(), "t0p") {
			t.Errorf("%s: New() = %v, %v", name, s, err)
		}
	}
}

func TestWarn(t *testing.T) {
	secret := secretFile(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	for name, tt := range map[string]struct {
		url, secret string
		format      Format
		want        []string
	}{
		"good":              {"https://crm.example.org/x", secret, FormatNative, nil},
		"unsigned":          {"https://crm.example.org/x", "", FormatNative, []string{"k.secret_file: is missing"}},
		"clear":             {"http://crm.example.org/x", secret, FormatNative, []string{"k.url: is not encrypted"}},
		"clear, here":       {"http://127.0.0.1:8080/x", secret, FormatNative, nil},
		"clear, here too":   {"http://localhost/x", secret, FormatNative, nil},
		"clear, here in v6": {"http://[::1]/x", secret, FormatNative, nil},
		"both":              {"http://crm.example.org/x", "", FormatNative, []string{"k.url", "k.secret_file"}},
		"listmonk":          {"https://lists.example.org/sub/webhooks/bounce", secret, FormatListmonk, nil},
		"listmonk, path":    {"https://lists.example.org/webhooks/service/ses", secret, FormatListmonk, []string{"k.url: does not end in"}},
	} {
		o := DefaultOptions()
		o.URL, o.SecretFile, o.Format = tt.url, tt.secret, tt.format
		var ps toml.Problems
		o.Warn(&ps, "k")
		if len(ps) != len(tt.want) {
			t.Errorf("%s: %v", name, ps)
			continue
		}
		for i, p := range ps {
			if !strings.Contains(p.String(), tt.want[i]) {
				t.Errorf("%s: %v, want %q", name, p, tt.want[i])
			}
		}
	}
}
