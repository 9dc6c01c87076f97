package verp

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// maxWraps is how many layers are removed from an address.
const maxWraps = 4

// tags are the schemes that put a signed tag before the local part of a return path, so
// that its owner recognises bounces of mail that it sent.
var tags = []struct {
	prefix, end string // the tag is between them
	min, max    int    // length of the tag in octets
}{
	{"prvs=", "=", 10, 10},     // BATV (draft-levine-smtp-batv): KDDDSSSSSS
	{"btv1==", "==", 4, 32},    // Barracuda's
	{"msprvs1=", "=", 10, 128}, // Message Systems', SparkPost
}

// unwrap removes what forwarders and gateways wrapped around an address, and returns the
// address that they were given.
func unwrap(addr string) string {
	for range maxWraps {
		local, domain, ok := cutDomain(addr)
		if !ok {
			return addr
		}
		inner, ok := unwrapSRS(local)
		if !ok {
			if inner, ok = unwrapTag(local); ok {
				inner += "@" + domain
			}
		}
		if !ok {
			return addr
		}
		addr = inner
	}
	return addr
}

// unwrapSRS undoes the Sender Rewriting Scheme: SRS0=hash=time=domain=local, and
// SRS1=hash=forwarder==hash=time=domain=local of a second forwarder.
func unwrapSRS(local string) (string, bool) {
	if len(local) < 6 || !strings.EqualFold(local[:3], "SRS") || local[3] != '0' && local[3] != '1' || !isSRSSeparator(local[4]) {
		return "", false
	}
	rest := local[5:]
	if local[3] == '1' {
		hash, after, ok := strings.Cut(rest, "=")
		forwarder, after, ok2 := strings.Cut(after, "=")
		if !ok || !ok2 || !isHash(hash) || !isHost(forwarder) || after == "" || !isSRSSeparator(after[0]) {
			return "", false
		}
		rest = after[1:]
	}
	parts := strings.SplitN(rest, "=", 4)
	if len(parts) < 4 || !isHash(parts[0]) || !isHash(parts[1]) || !isHost(parts[2]) || parts[3] == "" {
		return "", false
	}
	return parts[3] + "@" + parts[2], true
}

// isSRSSeparator reports whether an octet may follow SRS0 and SRS1.
func isSRSSeparator(c byte) bool { return c == '=' || c == '+' || c == '-' }

// isHash reports whether s may be a hash or a time of SRS: base64 or base32.
func isHash(s string) bool {
	for i := 0; i < len(s); i++ {
		if !ascii.IsAlnum(s[i]) && s[i] != '+' && s[i] != '/' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func unwrapTag(local string) (string, bool) {
	for _, t := range tags {
		if len(local) < len(t.prefix) || !strings.EqualFold(local[:len(t.prefix)], t.prefix) {
			continue
		}
		rest := local[len(t.prefix):]
		if tag, inner, ok := strings.Cut(rest, t.end); ok && inner != "" && len(tag) >= t.min && len(tag) <= t.max && isWord(tag) {
			return inner, true
		}
		// QUIRK: in an early draft of BATV the tag follows the local part: prvs=local/tag.
		if inner, tag, ok := cutLast(rest, "/"); ok && inner != "" && len(tag) >= t.min && len(tag) <= t.max && isWord(tag) {
			return inner, true
		}
	}
	return "", false
}

func isWord(s string) bool {
	for i := 0; i < len(s); i++ {
		if !ascii.IsAlnum(s[i]) {
			return false
		}
	}
	return s != ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
