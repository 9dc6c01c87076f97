package origin

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

const (
	signatureField = "DKIM-Signature"

	// maxSignatures is how many signatures of our domains are verified.
	maxSignatures = 5
	// maxSeen is how many signatures are read to find those.
	maxSeen = 50
	// maxSignature bounds a signature, in octets.
	maxSignature = 8 << 10
	// maxSigned is how many fields a signature may list.
	maxSigned = 200
)

// signature is a DKIM-Signature field (RFC 6376 section 3.5).
type signature struct {
	field      *field
	at, end    int // of the value of b= in the field's value
	algorithm  string
	domain     string
	selector   string
	identity   string // domain of i=
	headers    []string
	simple     bool // canonicalization of the header
	simpleBody bool
	body       []byte // hash
	length     int64  // l=, -1 if it is not there
	sig        []byte
	signed     int64 // t=, 0 if it is not there
	expires    int64 // x=, likewise
}

const malformedSignature = "the DKIM signature is malformed"

// parseSignature reads a signature. why says what is wrong with it, "" if nothing is.
func parseSignature(f *field) (s signature, why string) {
	if len(f.value) > maxSignature {
		return s, "the DKIM signature is too long"
	}
	list, ok := tags(string(f.value))
	if !ok {
		return s, malformedSignature
	}
	s = signature{field: f, length: -1}
	for i := range list {
		if why := s.set(&list[i]); why != "" {
			return s, why
		}
	}
	return s, s.check(list)
}

// set takes over a tag. The meaning of c= and i= depends on other tags: see check.
func (s *signature) set(t *tag) (why string) {
	var err error
	switch t.name {
	case "v":
		if t.value != "1" {
			return "the DKIM signature is of another version"
		}
	case "a":
		s.algorithm = strings.ToLower(t.value)
	case "b":
		s.at, s.end = t.at, t.end
		s.sig, err = base64.StdEncoding.DecodeString(withoutSpace(t.value))
	case "bh":
		s.body, err = base64.StdEncoding.DecodeString(withoutSpace(t.value))
	case "d":
		s.domain = canonicalDomain(withoutSpace(t.value))
	case "s":
		s.selector = canonicalDomain(withoutSpace(t.value))
	case "h":
		s.headers = strings.Split(strings.ToLower(withoutSpace(t.value)), ":")
	case "l":
		s.length, err = number(t.value)
	case "t":
		s.signed, err = number(t.value)
	case "x":
		s.expires, err = number(t.value)
	}
	if err != nil {
		return malformedSignature
	}
	return ""
}

// check completes a signature of those tags with their defaults, and says what is wrong
// with it (RFC 6376 section 6.1.1).
func (s *signature) check(list []tag) (why string) {
	if v, _ := get(list, "v"); v == "" || s.domain == "" || s.selector == "" || len(s.sig) == 0 {
		return malformedSignature
	}
	if len(s.body) != sha256.Size {
		return malformedSignature
	}
	s.identity = s.domain
	identity, _ := get(list, "i")
	if identity = withoutSpace(identity); identity != "" {
		s.identity = canonicalDomain(domainOf(identity))
	}
	canon, _ := get(list, "c")
	head, body, _ := strings.Cut(strings.ToLower(canon), "/")
	for _, c := range []string{head, body} {
		if c != "" && c != "simple" && c != "relaxed" {
			return "the DKIM signature is of an unknown canonicalization"
		}
	}
	s.simple, s.simpleBody = head != "relaxed", body != "relaxed"
	switch {
	case s.algorithm != "rsa-sha256" && s.algorithm != "ed25519-sha256":
		return "the DKIM signature is of another algorithm than rsa-sha256 and ed25519-sha256"
	case len(s.headers) > maxSigned:
		return "the DKIM signature lists too many fields"
	case s.expires != 0 && s.expires < s.signed:
		return malformedSignature
	case !slices.Contains(s.headers, "from"): // RFC 6376 section 5.4
		return "the DKIM signature does not cover From"
	case s.length == 0:
		// RFC 6376 section 8.2: then the message could be any.
		return "the DKIM signature covers no body (l=0)"
	}
	return ""
}

// number reads the digits of l=, t= and x=.
func number(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}

// valid is a signature that verified: the domain, and the fields that it covers.
type valid struct {
	domain string
	fields []*field
	body   bool // the body was verified too
}

// signatures verifies the DKIM signatures in a header. It returns the valid ones, whether
// one names a domain of ours, and if none is valid, why.
func (j *Judge) signatures(ctx context.Context, m *Message, h *header, now time.Time) (all []valid, found bool, why string) {
	seen, verified := 0, 0
	dns := &lookups{left: maxLookups}
	defer func() {
		if dns.cancel != nil {
			dns.cancel()
		}
	}()
	for i := range h.fields {
		f := &h.fields[i]
		if !ascii.EqualFold(f.name, signatureField) {
			continue
		}
		if seen++; seen > maxSeen || verified == maxSignatures {
			break
		}
		s, bad := parseSignature(f)
		if !j.isOurs(s.domain) {
			continue
		}
		found = true
		var v valid
		if bad == "" {
			v, bad = j.verify(ctx, dns, m, h, &s, now)
			verified++
		}
		if bad == "" {
			all = append(all, v)
		} else if why == "" {
			why = bad
		}
	}
	if len(all) > 0 {
		why = ""
	}
	return all, found, why
}

// verify verifies one signature (RFC 6376 section 6.1).
func (j *Judge) verify(ctx context.Context, dns *lookups, m *Message, h *header, s *signature, now time.Time) (v valid, why string) {
	if s.expires != 0 && now.Unix() > s.expires {
		return v, "the DKIM signature has expired"
	}
	if s.identity != s.domain && !strings.HasSuffix(s.identity, "."+s.domain) {
		return v, "the identity of the DKIM signature is not in its domain"
	}
	key, why := j.key(ctx, dns, s.domain, s.selector)
	if why != "" {
		return v, why
	}
	if strict, ok := key.(strictKey); ok {
		if key = strict.PublicKey; s.identity != s.domain {
			return v, "the identity of the DKIM signature is not its domain, as the key wants it"
		}
	}
	v.domain = s.domain
	sum, fields := s.hash(h)
	v.fields = fields
	switch key := key.(type) {
	case *rsa.PublicKey:
		if s.algorithm != "rsa-sha256" || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum, s.sig) != nil {
			return v, "the DKIM signature does not fit the header"
		}
	case ed25519.PublicKey:
		if s.algorithm != "ed25519-sha256" || !ed25519.Verify(key, sum, s.sig) {
			return v, "the DKIM signature does not fit the header"
		}
	default:
		return v, "the DKIM key is neither RSA nor Ed25519"
	}
	// The time is only known to be true now.
	switch at := s.time(fields); {
	case at.IsZero():
	case now.Sub(at) > j.maxAge:
		return v, "the DKIM signature is older than max_age"
	case now.Sub(at) < -maxSkew:
		return v, "the DKIM signature is from the future"
	}
	if m.WholeBody && len(m.Body) > 0 {
		if !s.fits(m.Body) {
			return v, "the DKIM signature does not fit the body"
		}
		v.body = true
	}
	return v, ""
}

// time returns when the message was signed: t=, else a Date that is signed.
func (s *signature) time(fields []*field) time.Time {
	if s.signed != 0 {
		return time.Unix(s.signed, 0)
	}
	for _, f := range fields {
		if ascii.EqualFold(f.name, "Date") {
			if t, err := mail.ParseDate(unfold(f.value)); err == nil {
				return t
			}
		}
	}
	return time.Time{}
}

// hash returns the hash of the fields that a signature covers (RFC 6376 section 3.7),
// and those fields.
func (s *signature) hash(h *header) (sum []byte, fields []*field) {
	hash := sha256.New()
	buf := make([]byte, 0, 1024)
	put := func(name, raw []byte) {
		buf = buf[:0]
		if s.simple {
			buf = appendSimple(buf, raw)
		} else {
			buf = appendRelaxed(buf, name, raw)
		}
		hash.Write(buf)
	}
	places := h.places(s.headers)
	for _, name := range s.headers {
		// Of several fields the last counts first; one that is not there is nothing, so
		// that it cannot be added (RFC 6376 section 5.4.2).
		if list := places[name]; len(list) > 0 {
			f := list[len(list)-1]
			places[name] = list[:len(list)-1]
			put(f.name, f.raw)
			hash.Write(crlf)
			fields = append(fields, f)
		}
	}
	// The signature itself, as if b= were empty.
	f := s.field
	before := len(f.raw) - len(f.value)
	raw := append(append(make([]byte, 0, len(f.raw)), f.raw[:before+s.at]...), f.raw[before+s.end:]...)
	put(f.name, raw)
	return hash.Sum(nil), fields
}

// places returns the fields of those names, from top to bottom.
func (h *header) places(names []string) map[string][]*field {
	places := make(map[string][]*field, len(names))
	for _, name := range names {
		places[name] = nil
	}
	var lower []byte
	for i := range h.fields {
		f := &h.fields[i]
		lower = appendLower(lower[:0], f.name)
		if list, ok := places[string(lower)]; ok {
			places[string(lower)] = append(list, f)
		}
	}
	return places
}

var crlf = []byte("\r\n")

// appendSimple appends a field as it is, with CRLF as line end (RFC 6376 section 3.4.1).
func appendSimple(dst, raw []byte) []byte {
	for i, c := range raw {
		if c == '\n' && (i == 0 || raw[i-1] != '\r') {
			dst = append(dst, '\r')
		}
		dst = append(dst, c)
	}
	return dst
}

// appendRelaxed appends a field in the form of RFC 6376 section 3.4.2.
func appendRelaxed(dst, name, raw []byte) []byte {
	dst = append(appendLower(dst, name), ':')
	value := raw[bytes.IndexByte(raw, ':')+1:]
	begin := len(dst)
	space := false
	for _, c := range value {
		switch c {
		case '\r', '\n':
		case ' ', '\t':
			space = true
		default:
			if space && len(dst) > begin {
				dst = append(dst, ' ')
			}
			space = false
			dst = append(dst, c)
		}
	}
	return dst
}

func appendLower(dst, name []byte) []byte {
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// fits reports whether a body is the one that was signed.
func (s *signature) fits(body []byte) bool {
	h := &bodyHash{left: s.length, hash: sha256.New()}
	h.add(body, s.simpleBody)
	if h.left > 0 { // shorter than what was signed
		return false
	}
	return subtle.ConstantTimeCompare(h.hash.Sum(nil), s.body) == 1
}
