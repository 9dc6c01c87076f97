package origin

import (
	"crypto/hmac"
	"encoding/hex"
	"strings"
)

// MACPlace stands where the MAC goes while the MAC is computed.
const MACPlace = "{mac}"

// VERPSize is how many hexadecimal digits of a MAC stand in an address: 96 bits.
const VERPSize = 24

// VERP returns the MAC for an address that bounces shall come back to. The address has
// [MACPlace] where the MAC goes, as in "bounces+u=example.com-{mac}@lists.example.org". It
// is the beginning of the HMAC-SHA-256 of the address in lower case (ASCII letters alone),
// by the first key, in hexadecimal digits.
func (k *Keys) VERP(address string) string { return verpMAC(k.list[0].secret, address) }

// VerifyVERP reports whether a MAC is that of an address with [MACPlace] in it, by any of
// the keys.
func (k *Keys) VerifyVERP(address, mac string) bool {
	if len(mac) != VERPSize || len(address) > maxAddress || strings.Count(address, MACPlace) != 1 {
		return false
	}
	mac = lowerASCII(mac)
	for i := range k.list {
		if hmac.Equal([]byte(verpMAC(k.list[i].secret, address)), []byte(mac)) {
			return true
		}
	}
	return false
}

func verpMAC(secret []byte, address string) string {
	m := newMAC(secret)
	m.Write([]byte(lowerASCII(address)))
	return hex.EncodeToString(m.Sum(nil))[:VERPSize]
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}
