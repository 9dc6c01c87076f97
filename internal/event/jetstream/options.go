package jetstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// defaultSubject is the subject of a sink for which none is configured.
const defaultSubject = "bounces.{category}"

// Options are an administrator's settings of a NATS sink.
type Options struct {
	Servers []string // "nats://host:4222", "tls://…"; these name the other servers of their cluster
	Subject string   // "bounces.{category}"; "" for [defaultSubject]
	Stream  string   // stream that must store the records, "" for whichever has the subject

	// CredentialsFile is a file with what NATS calls credentials (a user's JWT and its
	// key), the seed of an nkey, "user:password", or a token; "" for none.
	CredentialsFile string
	CAFile          string // certificates to trust in addition to the host's, "" for none; requires TLS
	CertFile        string // our certificate, "" for none
	KeyFile         string // its key
}

// Check adds what is wrong with the options. key is the sink's table in the configuration
// file: "events.sink[0]" leads to "events.sink[0].subject".
func (o *Options) Check(ps *toml.Problems, key string) {
	if len(o.Servers) == 0 {
		ps.Add(key+".servers", `is missing: write a list of them, as in ["tls://nats1.example.org:4222"]`)
	}
	for i, s := range o.Servers {
		if why := checkServer(s); why != "" {
			ps.Add(fmt.Sprintf("%s.servers[%d]", key, i), "%s", why)
		}
	}
	if _, err := parseSubject(o.subject()); err != nil {
		ps.Add(key+".subject", "%v", err)
	}
	// A stream's name becomes part of subjects and of file names (https://docs.nats.io).
	if strings.ContainsFunc(o.Stream, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`.*>/\`, r) }) {
		ps.Add(key+".stream", "%q cannot be the name of a stream: write it without space, dot, * > / and \\", o.Stream)
	}
	for _, f := range []struct{ key, path string }{
		{"credentials_file", o.CredentialsFile}, {"ca_file", o.CAFile}, {"cert_file", o.CertFile}, {"key_file", o.KeyFile},
	} {
		if f.path != "" && !filepath.IsAbs(f.path) {
			ps.Add(key+"."+f.key, "%q is a relative path: write it from the root", f.path)
		}
	}
	switch {
	case o.CertFile != "" && o.KeyFile == "":
		ps.Add(key+".cert_file", "a certificate needs its key: write key_file too")
	case o.CertFile == "" && o.KeyFile != "":
		ps.Add(key+".key_file", "a key needs its certificate: write cert_file too")
	}
}

// CheckHost adds what the options refer to and this host does not have.
func (o *Options) CheckHost(ps *toml.Problems, key string) {
	if o.CredentialsFile != "" {
		if _, err := readCredentials(o.CredentialsFile); err != nil {
			ps.Add(key+".credentials_file", "%v", err)
		} else if err := event.CheckPrivate(o.CredentialsFile); err != nil {
			ps.Add(key+".credentials_file", "%v", err)
		}
	}
	if _, err := o.roots(); err != nil {
		ps.Add(key+".ca_file", "%v", err)
	}
	if o.CertFile != "" && o.KeyFile != "" {
		if _, err := o.certificate(); err != nil {
			ps.Add(key+".cert_file", "%v", err)
		} else if err := event.CheckPrivate(o.KeyFile); err != nil {
			ps.Add(key+".key_file", "%v", err)
		}
	}
}

func (o *Options) subject() string {
	if o.Subject == "" {
		return defaultSubject
	}
	return o.Subject
}

// checkServer says why s is not the address of a server, and returns "" if it is one. It
// does not quote what may contain a password.
func checkServer(s string) string {
	u, err := url.Parse(s)
	switch {
	case strings.Contains(s, "@"):
		return "a server's address may not contain a name or a password: put them into credentials_file"
	case err == nil && (u.Scheme == "" || u.Host == "" && u.Opaque != ""):
		return fmt.Sprintf("%q has no scheme: write %q, or tls:// for TLS", s, "nats://"+strings.TrimLeft(s, "/"))
	case err != nil:
		return fmt.Sprintf("%q is not the address of a server: write nats://HOST:PORT", s)
	case u.Scheme != "nats" && u.Scheme != "tls":
		return fmt.Sprintf("%q is not the address of a NATS server: write nats://HOST:PORT, or tls:// for TLS", s)
	case u.Hostname() == "":
		return fmt.Sprintf("%q names no host: write %s://HOST:PORT", s, u.Scheme)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Sprintf("%q has more than host and port: write %s://%s", s, u.Scheme, u.Host)
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return fmt.Sprintf("%q has an invalid port: write one from 1 to 65535", s)
		}
	}
	return ""
}

// roots returns the certificates to trust, nil for those of the host.
func (o *Options) roots() (*x509.CertPool, error) {
	if o.CAFile == "" {
		return nil, nil
	}
	return event.ReadCertificates(o.CAFile)
}

// certificate reads our certificate and its key. The error does not quote the key.
func (o *Options) certificate() (*tls.Certificate, error) {
	cert, err := event.ReadSecret(o.CertFile)
	if err != nil {
		return nil, err
	}
	key, err := event.ReadSecret(o.KeyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("the files %s and %s are not a certificate and its key in PEM", o.CertFile, o.KeyFile)
	}
	return &pair, nil
}

// tls returns the settings of TLS, nil if the options have none. With nil, TLS is still
// used if a server asks for it, and the host's certificates are trusted.
func (o *Options) tls() (*tls.Config, error) {
	if o.CAFile == "" && o.CertFile == "" {
		return nil, nil
	}
	roots, err := o.roots()
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	if o.CertFile == "" {
		return cfg, nil
	}
	last, err := o.certificate()
	if err != nil {
		return nil, err
	}
	// Read for each connection, as credentials are.
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if now, err := o.certificate(); err == nil {
			last = now
		}
		return last, nil
	}
	return cfg, nil
}
