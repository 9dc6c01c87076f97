package origin

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

const (
	minRSA = 1024 // bits, RFC 8301 section 3.2
	maxRSA = 8192 // bits: verifying is slower with longer ones

	maxPEM    = 64 << 10
	maxRecord = 8 << 10 // octets of a key record in DNS
)

// DKIMKey is a public key with which one of our domains signs its mail.
type DKIMKey struct {
	Domain   string
	Selector string
	// Public is an *rsa.PublicKey or an ed25519.PublicKey, see [ParsePublicKey]. If it is
	// nil, the key is looked up in DNS; then Selector may be "", for any.
	Public crypto.PublicKey
}

// ReadPublicKey reads the file of a public key, see [ParsePublicKey].
func ReadPublicKey(path string) (crypto.PublicKey, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reading a public key: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPEM))
	if err != nil {
		return nil, fmt.Errorf("reading a public key: %w", err)
	}
	key, err := ParsePublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("the file %s: %w", path, err)
	}
	return key, nil
}

// ParsePublicKey reads a public key in PEM: an RSA key (PKCS #1 or SubjectPublicKeyInfo)
// of 1024 bits or more, or an Ed25519 key. It also reads the record that opendkim-genkey
// and others write for DNS. The error says the mend.
func ParsePublicKey(data []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		if i := strings.IndexByte(string(data), '"'); i >= 0 || strings.Contains(string(data), "p=") {
			return parseRecord(zoneText(string(data)))
		}
		return nil, errors.New(`has no public key in PEM: write it with "openssl rsa -in private.pem -pubout" (pkey of an Ed25519 key)`)
	}
	if strings.Contains(block.Type, "PRIVATE") {
		return nil, errors.New(`has a private key: name the file of the public key, as "openssl pkey -in private.pem -pubout" writes it`)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		var rsaErr error
		if key, rsaErr = x509.ParsePKCS1PublicKey(block.Bytes); rsaErr != nil {
			return nil, fmt.Errorf("has no public key that can be read: %w", err)
		}
	}
	return key, checkKey(key)
}

// checkKey says why a key cannot be used, nil if it can.
func checkKey(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSA || n > maxRSA {
			return fmt.Errorf("the RSA key has %d bits: use one of %d to %d, best of 2048", n, minRSA, maxRSA)
		}
		if key.E < 3 || key.E&1 == 0 {
			return errors.New("the RSA key has a bad exponent")
		}
	case ed25519.PublicKey:
		if len(key) != ed25519.PublicKeySize {
			return errors.New("the Ed25519 key has a wrong length")
		}
	default:
		return errors.New("the key is neither RSA nor Ed25519")
	}
	return nil
}

// zoneText joins the strings in quotation marks of a record in a zone file, and drops
// comments.
func zoneText(s string) string {
	if strings.IndexByte(s, '"') < 0 {
		return s
	}
	var b strings.Builder
	for line := range strings.Lines(s) {
		quoted := false
		for _, c := range line {
			if c == '"' {
				quoted = !quoted
			} else if c == ';' && !quoted {
				break
			} else if quoted {
				b.WriteRune(c)
			}
		}
	}
	return b.String()
}

// parseRecord reads a key record (RFC 6376 section 3.6.1).
func parseRecord(s string) (crypto.PublicKey, error) {
	if len(s) > maxRecord {
		return nil, errors.New("the key record is too long")
	}
	list, ok := tags(s)
	if v, has := get(list, "v"); !ok || has && (v != "DKIM1" || list[0].name != "v") {
		return nil, errors.New("the key record is malformed")
	}
	p, ok := get(list, "p")
	if !ok {
		return nil, errors.New("the key record has no key")
	}
	if p == "" {
		return nil, errors.New("the key is revoked")
	}
	if h, has := get(list, "h"); has && !inList(h, "sha256") {
		return nil, errors.New("the key is not for sha256")
	}
	if s, has := get(list, "s"); has && !inList(s, "*") && !inList(s, "email") {
		return nil, errors.New("the key is not for mail")
	}
	der, err := base64.StdEncoding.DecodeString(withoutSpace(p))
	if err != nil {
		return nil, errors.New("the key is not base64")
	}
	var key crypto.PublicKey
	switch k, _ := get(list, "k"); strings.ToLower(k) {
	case "", "rsa":
		if key, err = x509.ParsePKIXPublicKey(der); err != nil {
			// QUIRK: the key alone, as RFC 6376 section 3.6.1 has it and its erratum 3017
			// corrects.
			if key, err = x509.ParsePKCS1PublicKey(der); err != nil {
				return nil, errors.New("the RSA key cannot be read")
			}
		}
		if _, ok := key.(*rsa.PublicKey); !ok {
			return nil, errors.New("the key is not RSA")
		}
	case "ed25519":
		key = ed25519.PublicKey(der) // RFC 8463 section 4
	default:
		return nil, errors.New("the key is neither RSA nor Ed25519")
	}
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if t, _ := get(list, "t"); inList(t, "s") {
		return strictKey{key}, nil
	}
	return key, nil
}

// strictKey is a key for mail of its very domain alone, t=s.
type strictKey struct{ crypto.PublicKey }

// inList reports whether a list with colons has a word.
func inList(list, word string) bool {
	for w := range strings.SplitSeq(list, ":") {
		if strings.EqualFold(strings.Trim(w, wsp), word) {
			return true
		}
	}
	return false
}
