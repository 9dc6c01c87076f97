// Package webhook sends records to a program by HTTP.
//
// In the native format a request is a POST of a JSON array of records, signed as specified
// by Standard Webhooks (github.com/standard-webhooks). In the listmonk format it is one
// object for listmonk's POST /webhooks/bounce.
//
// Any 2xx is success. Temporary failures are tried again: no connection, no answer in time,
// an answer that is not HTTP, 1xx, 3xx, 407, 408, 425, 429 and 5xx, after Retry-After if the
// receiver sends it. Other 4xx refuse for good. If an array is answered with 400, 413 or
// 422, its halves are sent separately, and halved again until single records are refused, so
// that a record that the receiver cannot accept does not hold up others.
package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/bounce-milter/bounce-milter/internal/event"
)

// Bounds of a request. Common receivers accept bodies of 100 KB by default.
const (
	maxRecords = 100      // in an array
	maxOctets  = 64 << 10 // of an array with more than one record
)

// Bounds of what a receiver may cost us.
const (
	connectTimeout = 10 * time.Second
	bodyTimeout    = 2 * time.Second // for an answer's body, which adds little to its status
	maxBody        = 64 << 10        // octets of the body
	maxHeader      = 64 << 10        // octets of an answer's header
	maxHops        = 3               // redirects that are followed
	idleTimeout    = 90 * time.Second
)

// Sink sends records to one receiver.
type Sink struct {
	url       *url.URL
	format    Format
	block     Block
	unproven  Unproven
	timeout   time.Duration
	agent     string
	secrets   [][]byte
	sensitive []string // see scrub
	transport *http.Transport
	now       func() time.Time
}

var _ event.Sink = (*Sink)(nil)

// New makes a sink. The options must have passed [Options.Check]. New reads secrets,
// certificates and the environment variables for proxies, and opens no connection. version is
// the program's, for User-Agent.
func New(o Options, version string) (*Sink, error) {
	u, err := parseURL(o.URL, o.Format)
	if err != nil {
		return nil, fmt.Errorf("url %w", err)
	}
	s := &Sink{url: u, format: o.Format, block: o.Block, unproven: o.Unproven, timeout: o.Timeout, agent: "bounce-milter/" + version, now: time.Now}
	switch {
	case o.SecretFile != "":
		if s.secrets, err = readSecrets(o.SecretFile, o.Format); err != nil {
			return nil, fmt.Errorf("reading secret_file: %w", err)
		}
	case o.Format == FormatListmonk:
		return nil, errNoSecret
	}
	s.sensitive = sensitive(s.secrets, u)
	var pool *x509.CertPool // nil for the host's own
	if o.CAFile != "" {
		if pool, err = event.ReadCertificates(o.CAFile); err != nil {
			return nil, fmt.Errorf("reading ca_file: %w", err)
		}
	}
	proxy := httpproxy.FromEnvironment().ProxyFunc()
	s.transport = &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			p, err := proxy(r.URL)
			if err != nil { // err quotes the variable, which may contain a password
				return nil, errors.New("the proxy in the environment is not a URL")
			}
			return p, nil
		},
		DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:    connectTimeout,
		TLSClientConfig:        &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // answers are short, and a long one is not worth unpacking
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}
	return s, nil
}

// Send implements [event.Sink].
func (s *Sink) Send(ctx context.Context, batch []event.Item) (event.Sent, error) {
	if s.format == FormatListmonk {
		return s.sendListmonk(ctx, batch)
	}
	return s.sendNative(ctx, batch)
}

// Close closes connections that wait for another request.
func (s *Sink) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// post sends a body and waits for the answer. The error is a *refusedError if sending the
// same again is of no use.
func (s *Sink) post(ctx context.Context, body []byte, header http.Header) error {
	inTime, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", s.agent)
	// With this key Go repeats a request by itself if an idle connection turns out to be
	// closed. The key has no value, so it is not sent.
	header["Idempotency-Key"] = nil

	to := s.url
	for range maxHops + 1 {
		next, err := s.ask(inTime, to, body, header)
		switch {
		case err == nil && next == nil:
			return nil
		case err == nil:
			to = next
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case inTime.Err() != nil:
			return fmt.Errorf("%s gives no answer within %s", s.where(), s.timeout)
		}
		return err
	}
	return fmt.Errorf("%s redirects in a circle", s.where())
}

// ask sends one request and reads the answer. If it returns nil and nil the request has
// succeeded; if it returns a URL the receiver redirects there.
func (s *Sink) ask(ctx context.Context, to *url.URL, body []byte, header http.Header) (*url.URL, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New(s.scrub(err.Error()))
	}
	req.Header = header.Clone()
	resp, err := s.transport.RoundTrip(req) // not a client's Do, whose errors show the URL
	if err != nil {
		return nil, s.unreachable(err)
	}
	// Only the status decides. The body is read to quote from it, and so that the
	// connection can be used again. If that takes too long the connection is closed.
	timer := time.AfterFunc(bodyTimeout, cancel)
	defer timer.Stop()
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody)) // on an error, what has come is enough
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode <= 299:
		return nil, nil
	case resp.StatusCode >= 301 && resp.StatusCode <= 308 && resp.StatusCode != http.StatusNotModified:
		return s.follow(to, resp)
	}
	return nil, s.failure(resp, s.excerpt(text))
}

// unreachable says why there is no answer.
func (s *Sink) unreachable(err error) error {
	text := s.scrub(err.Error())
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		text += " (name the certificate of its authority in ca_file)"
	}
	text = strings.TrimPrefix(text, "net/http: HTTP/1.x transport connection broken: ") // adds nothing
	return fmt.Errorf("asking %s: %s", s.where(), text)
}

// excerpt returns what an error quotes of an answer's body: the beginning, if it is text.
func (s *Sink) excerpt(body []byte) string {
	if bytes.IndexByte(body, 0) >= 0 || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		return "" // binary data, or a web page
	}
	return s.scrub(string(body))
}
