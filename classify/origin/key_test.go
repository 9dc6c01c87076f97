package origin

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// line returns the line of a key file for a key that is the same in each run.
func line(id string, seed byte) string {
	secret := make([]byte, MinKey)
	for i := range secret {
		secret[i] = seed + byte(i)
	}
	return id + " " + base64.StdEncoding.EncodeToString(secret) + "\n"
}

func keysOf(t testing.TB, lines ...string) *Keys {
	t.Helper()
	k, err := ParseKeys([]byte(strings.Join(lines, "")))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestParseKeys(t *testing.T) {
	a, b := line("a", 1), line("b", 2)
	short := base64.StdEncoding.EncodeToString(make([]byte, 31))
	for _, tt := range []struct{ name, file, ids, err string }{
		{name: "two", file: "# ours\n\n" + a + "\t" + b, ids: "a b"},
		{name: "without padding, with CRLF", file: strings.ReplaceAll(strings.TrimRight(a, "=\n"), "\n", "") + "\r\n", ids: "a"},
		{name: "nothing", file: "# none\n", err: "no key is in it: write a name"},
		{name: "no name", file: strings.Fields(a)[1] + "\n", err: "line 1: has 1 words"},
		{name: "short", file: a + "s " + short + "\n", err: "line 2: the key has 31 octets, and needs 32"},
		{name: "no base64", file: "x !!!!\n", err: "line 1: the key is not base64"},
		{name: "a passphrase", file: "x correct-horse\n", err: "line 1: the key is not base64"},
		{name: "a bad name", file: strings.Replace(a, "a", "a;b", 1), err: "line 1: the name is not of letters"},
		{name: "zeros", file: "z " + base64.StdEncoding.EncodeToString(make([]byte, 32)), err: "line 1: the key is one octet repeated"},
		{name: "a name twice", file: a + line("a", 9), err: "line 2: the name a stands twice"},
		{name: "a key twice", file: a + line("c", 1), err: "line 2: the key stands twice"},
		{name: "every problem", file: "x\n" + a + "y !\n", err: "line 1: has 1 words: write a name, a space and the key, as \"bounce-milter ticket keygen\" prints them\nline 3:"},
		{name: "too many", file: func() (s string) {
			for i := range MaxKeys + 3 {
				s += line("k"+string(rune('a'+i)), byte(i))
			}
			return s
		}(), err: "line 17: is one of more than 16 keys"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := ParseKeys([]byte(tt.file))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				for word := range strings.FieldsSeq(tt.file) {
					if err != nil && len(word) > 20 && strings.Contains(err.Error(), word) {
						t.Errorf("the error shows the key: %v", err)
					}
				}
				return
			}
			if err != nil || strings.Join(k.IDs(), " ") != tt.ids {
				t.Errorf("keys %v, error %v", k, err)
			}
		})
	}
}

func TestReadKeys(t *testing.T) {
	dir := t.TempDir()
	root := os.Getuid() == 0
	for _, tt := range []struct {
		name string
		mode os.FileMode
		good bool
	}{{"0600", 0o600, true}, {"0400", 0o400, true}, {"0640", 0o640, root}, {"0660", 0o660, false}, {"0644", 0o644, false}, {"0604", 0o604, false}, {"0602", 0o602, false}} {
		path := filepath.Join(dir, tt.name)
		if err := os.WriteFile(path, []byte(line("a", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKeys(path); (err == nil) != tt.good || err != nil && !strings.Contains(err.Error(), "has mode "+tt.name) {
			t.Errorf("mode %s: %v", tt.name, err)
		}
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "does not exist: make it with",
		dir:                        "is no regular file",
	} {
		if _, err := ReadKeys(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	path := filepath.Join(dir, "bad")
	if err := os.WriteFile(path, []byte("x\ny\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := ReadKeys(path)
	if err == nil || strings.Count(err.Error(), "the key file "+path+": line ") != 2 {
		t.Errorf("%v", err)
	}
}

func TestGenerateKey(t *testing.T) {
	now := time.Date(2026, 11, 27, 23, 0, 0, 0, time.UTC)
	a, b := GenerateKey(now), GenerateKey(now)
	k, err := ParseKeys([]byte(a + "\n" + b + "\n"))
	if err != nil || !strings.HasPrefix(a, "20261127-") || slices.Contains(k.IDs(), "") {
		t.Errorf("%v: %q %q", err, a[:8], b[:8])
	}
}

// The definition in the manual: the MAC is the beginning of HMAC-SHA-256 over the address.
func TestVERP(t *testing.T) {
	k := keysOf(t, line("new", 3), line("old", 1))
	old := keysOf(t, line("old", 1))
	const addr = "Bounces+u=Example.com-{mac}@lists.example.org"
	// printf %s 'bounces+u=example.com-{mac}@lists.example.org' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0102…20
	if got := old.VERP(addr); got != "792efd03934ad454e9a52b1c" {
		t.Errorf("the MAC is %s", got)
	}
	for _, tt := range []struct {
		addr, mac string
		want      bool
	}{
		{addr, k.VERP(addr), true},
		{addr, old.VERP(addr), true},
		{strings.ToLower(addr), strings.ToUpper(old.VERP(addr)), true},
		{strings.Replace(addr, "u=", "v=", 1), old.VERP(addr), false},
		{strings.Replace(addr, "lists", "list", 1), old.VERP(addr), false},
		{addr, old.VERP(addr)[:VERPSize-2], false},
		{addr, keysOf(t, line("x", 7)).VERP(addr), false},
		{addr, "", false},
		{"bounces@lists.example.org", old.VERP("bounces@lists.example.org"), false},
	} {
		if got := k.VerifyVERP(tt.addr, tt.mac); got != tt.want {
			t.Errorf("%s with %s: %v", tt.addr, tt.mac, got)
		}
	}
}
