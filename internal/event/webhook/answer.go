package webhook

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/lines"
)

// maxExcerpt is how many octets of a receiver's words an error quotes.
const maxExcerpt = 200

// refusedError is an answer that stays the same however often the request is
// repeated.
type refusedError struct {
	code int
	text string
}

func (e *refusedError) Error() string { return e.text }

// ofRecords reports whether the receiver may have refused the request because of one of its
// records. Other answers are about the URL, or about who we are, and hold for every record.
func (e *refusedError) ofRecords() bool {
	return e.code == http.StatusBadRequest || e.code == http.StatusRequestEntityTooLarge ||
		e.code == http.StatusUnprocessableEntity
}

// again reports whether the same request may be accepted later. A proxy that wants a password
// (407) has not asked the receiver.
func again(code int) bool {
	switch code {
	case http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return code < 400 || code >= 500
}

// failure returns the error for an answer that is not a success.
func (s *Sink) failure(resp *http.Response, excerpt string) error {
	text := fmt.Sprintf("%s answers %s", s.where(), status(resp.StatusCode))
	if resp.StatusCode == http.StatusProxyAuthRequired {
		text = fmt.Sprintf("a proxy on the way to %s answers %s: put its user and password into the proxy's URL in the daemon's environment",
			s.where(), status(resp.StatusCode))
	}
	if excerpt != "" {
		text += ": " + excerpt
	}
	if !again(resp.StatusCode) {
		return &refusedError{code: resp.StatusCode, text: text}
	}
	err := fmt.Errorf("%s", text)
	if wait := retryAfter(resp.Header, s.now()); wait > 0 {
		return &event.LaterError{After: wait, Err: err}
	}
	return err
}

// status returns a code with its registered name. The words that the server sends with the
// code are not used, because they may be anything.
func status(code int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
}

// follow returns where a redirect leads, or an error if it must not be followed: 301, 302
// and 303 turn a POST into a GET (RFC 9110 section 15.4), and the administrator has not
// named another host.
func (s *Sink) follow(from *url.URL, resp *http.Response) (*url.URL, error) {
	const mend = "write the receiver's final address into url"
	location := resp.Header.Get("Location")
	to, err := from.Parse(location)
	if err != nil || location == "" {
		return nil, fmt.Errorf("%s answers %s and does not say where to go", s.where(), status(resp.StatusCode))
	}
	where := s.scrub(plain(to))
	switch {
	case resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect:
		return nil, fmt.Errorf("%s answers %s and points to %s, which a POST may not follow: %s",
			s.where(), status(resp.StatusCode), where, mend)
	case to.Scheme != from.Scheme || !sameHost(to, from) || to.User != nil:
		return nil, fmt.Errorf("%s answers %s and points to another host or scheme, %s: %s if that is right",
			s.where(), status(resp.StatusCode), where, mend)
	}
	return to, nil
}

// sameHost reports whether two URLs of one scheme lead to the same host and port.
func sameHost(a, b *url.URL) bool {
	standard := map[string]string{"http": "80", "https": "443"}[a.Scheme]
	return strings.EqualFold(a.Hostname(), b.Hostname()) && cmp.Or(a.Port(), standard) == cmp.Or(b.Port(), standard)
}

// where returns the receiver's URL, without the parts that may contain a token.
func (s *Sink) where() string { return plain(s.url) }

// plain returns a URL without user information, query and fragment.
func plain(u *url.URL) string {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return clean(bare.String())
}

// sensitive returns what errors must not contain, even if a server sends it back to us.
func sensitive(secrets [][]byte, u *url.URL) []string {
	var list []string
	add := func(s string) {
		if len(s) > 3 { // shorter ones occur in any text
			list = append(list, s)
		}
	}
	for _, secret := range secrets {
		add(string(secret))
		if _, token, ok := strings.Cut(string(secret), ":"); ok {
			add(token)
		}
	}
	add(u.RawQuery)
	for _, pair := range strings.FieldsFunc(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		_, value, _ := strings.Cut(pair, "=")
		add(value)
		if decoded, err := url.QueryUnescape(value); err == nil {
			add(decoded)
		}
	}
	return list
}

// scrub removes our secrets from what a server wrote, and from Go's errors about it.
func (s *Sink) scrub(text string) string {
	for _, secret := range s.sensitive {
		text = strings.ReplaceAll(text, secret, "…")
	}
	return clean(text)
}

// clean makes a stranger's words fit for a log: short, one line, valid UTF-8.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "?")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxExcerpt {
		text = lines.Cut(text, maxExcerpt) + "…"
	}
	return text
}
