package origin

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// weakKey returns an RSA key of so many bits, which Go would not make.
func weakKey(bits uint) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(0x10001)), E: 65537}
}

func spki(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestParsePublicKey(t *testing.T) {
	block := func(typ string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
	}
	long := base64.StdEncoding.EncodeToString(spki(t, public("rsa")))
	private, err := x509.MarshalPKCS8PrivateKey(testKeys()["ed"])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, file, err string }{
		{name: "RSA", file: block("PUBLIC KEY", spki(t, public("rsa")))},
		{name: "PKCS #1", file: block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(public("rsa").(*rsa.PublicKey)))},
		{name: "Ed25519", file: block("PUBLIC KEY", spki(t, public("ed")))},
		{name: "1024 bits", file: block("PUBLIC KEY", spki(t, weakKey(1024)))},
		{name: "zone file", file: "s1._domainkey\tIN\tTXT\t( \"v=DKIM1; h=sha256; k=rsa; s=email; \"\n\t  \"p=" + long[:200] + "\"\n\t  \"" + long[200:] + "\" )  ; ----- DKIM key s1 for \"example.org\"\n"},
		{name: "record", file: "v=DKIM1; k=rsa; p=" + long + "\n"},
		{name: "512 bits", file: block("PUBLIC KEY", spki(t, weakKey(512))), err: "has 512 bits: use one of 1024"},
		{name: "huge", file: block("PUBLIC KEY", spki(t, weakKey(16384))), err: "has 16384 bits"},
		{name: "private", file: block("PRIVATE KEY", private), err: "has a private key: name the file of the public key"},
		{name: "broken", file: block("PUBLIC KEY", []byte("x")), err: "no public key that can be read"},
		{name: "empty", err: "has no public key in PEM"},
		{name: "text", file: "hello", err: "has no public key in PEM"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(tt.file), 0o644); err != nil {
				t.Fatal(err)
			}
			key, err := ReadPublicKey(path)
			if tt.err == "" && (err != nil || key == nil) || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), path)) {
				t.Errorf("%v, %v", key, err)
			}
		})
	}
	if _, err := ReadPublicKey(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file, and no error")
	}
}

func TestParseRecord(t *testing.T) {
	rsaKey := base64.StdEncoding.EncodeToString(spki(t, public("rsa")))
	bare := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(public("rsa").(*rsa.PublicKey)))
	for _, tt := range []struct {
		record string
		good   bool
	}{
		{"p=" + rsaKey, true},
		{"v=DKIM1; p=" + bare, true},
		{"v=DKIM1;k=rsa;t=y;h=sha1:sha256;s=*;n=a note;p=" + rsaKey[:50] + " " + rsaKey[50:], true},
		{"v=DKIM1; t=s; p=" + rsaKey + ";", true},
		{"v=DKIM1; p=", false},
		{"v=DKIM1", false},
		{"v=DKIM2; p=" + rsaKey, false},
		{"k=rsa; v=DKIM1; p=" + rsaKey, false},
		{"v=DKIM1; h=sha1; p=" + rsaKey, false},
		{"v=DKIM1; s=tlsrpt; p=" + rsaKey, false},
		{"v=DKIM1; k=ed25519; p=" + rsaKey, false},
		{"v=DKIM1; k=dsa; p=" + rsaKey, false},
		{"v=DKIM1; p=!", false},
		{"v=DKIM1; p=AAAA", false},
		{"v=DKIM1; p=" + rsaKey + "; p=" + rsaKey, false},
		{"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(spki(t, public("ed"))), false},
		{"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(spki(t, weakKey(512))), false},
		{"v=spf1 -all", false},
		{"v=DKIM1; p=" + rsaKey + strings.Repeat(" ", maxRecord), false},
	} {
		if key, err := parseRecord(tt.record); (err == nil) != tt.good || (key != nil) != tt.good {
			t.Errorf("%.60q: %v", tt.record, err)
		}
	}
}

func TestOptions(t *testing.T) {
	_, err := New(Options{Domains: []string{"example.org", "not a domain", "192.0.2.1"}, DKIM: []DKIMKey{
		{"example.org", "rsa", public("rsa")}, {"x..y", "s", nil}, {"example.org", "", public("rsa")}, {"example.org", "weak", weakKey(512)}, {"example.org", "odd", "a key"},
	}})
	for _, want := range []string{`"not a domain" is no domain`, `"192.0.2.1" is no domain`, `"x..y" is no domain`, `"" is no selector`, "weak._domainkey.example.org: the RSA key has 512 bits", "neither RSA"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %s", err, want)
		}
	}
	j := judgeOf(t, Options{Domains: []string{"Example.org", "bücher.example"}})
	for sender, want := range map[string]bool{"a@example.org": true, "<A@EXAMPLE.ORG>": true, "a@xn--bcher-kva.example": true, "a@sub.example.org": false, "": false, "example.org": false} {
		if got := j.Signs(sender); got != want {
			t.Errorf("%s: %v", sender, got)
		}
	}
}
