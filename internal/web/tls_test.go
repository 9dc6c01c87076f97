package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// authority makes certificates in files.
type authority struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir}
	a.key, a.cert = a.issue("ca", time.Hour)
	return a
}

// issue writes NAME.pem and NAME.key for localhost.
func (a *authority) issue(name string, life time.Duration) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(life),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	write(a.t, filepath.Join(a.dir, name+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(a.t, filepath.Join(a.dir, name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return key, cert
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hash is a cheap bcrypt hash.
func hash(t *testing.T, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// client speaks TLS, with a certificate if name is not "".
func (a *authority) client(name string) *http.Client {
	a.t.Helper()
	cfg := &tls.Config{RootCAs: a.pool()}
	if name != "" {
		cert, err := tls.LoadX509KeyPair(filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key"))
		if err != nil {
			a.t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	tr := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}
	a.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

// ask returns the code and the body, or 0 and the error.
func ask(t *testing.T, c *http.Client, url, user, password string) (int, string) {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 1 {
		t.Errorf("%s is spoken", resp.Proto)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(body)
}

func TestTLSAndPasswords(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t, dir)
	a.issue("server", time.Hour)
	a.issue("scraper", time.Hour)
	stranger := newAuthority(t, t.TempDir())
	stranger.issue("other", time.Hour)
	const certificate = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
	users := "basic_auth_users:\n  prometheus: " + hash(t, "secret") + "\n"

	for _, tt := range []struct {
		name, config string
		client       *http.Client
		user, pass   string
		scheme       string
		code         int
		body         string
	}{
		{"plain", "", http.DefaultClient, "", "", "http", 200, "bounce_milter_sessions"},
		{"an empty file", "\n", http.DefaultClient, "", "", "http", 200, "bounce_milter_sessions"},
		{"TLS", certificate, a.client(""), "", "", "https", 200, "bounce_milter_sessions"},
		{"TLS without TLS", certificate, http.DefaultClient, "", "", "http", 400, "HTTPS server"},
		{"a stranger's authority", certificate, stranger.client(""), "", "", "https", 0, "certificate"},
		{"a password", users, http.DefaultClient, "prometheus", "secret", "http", 200, "bounce_milter_sessions"},
		{"no password", users, http.DefaultClient, "", "", "http", 401, "Unauthorized"},
		{"a wrong password", users, http.DefaultClient, "prometheus", "Secret", "http", 401, "Unauthorized"},
		{"both", certificate + users, a.client(""), "prometheus", "secret", "https", 200, "bounce_milter_sessions"},
		{"both, no password", certificate + users, a.client(""), "", "", "https", 401, "Unauthorized"},
		{"a client certificate", certificate + "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n",
			a.client("scraper"), "", "", "https", 200, "bounce_milter_sessions"},
		{"no client certificate", certificate + "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n",
			a.client(""), "", "", "https", 0, "certificate required"},
		{"HTTP2 is asked for", certificate + "http_server_config:\n  http2: true\n", a.client(""), "", "", "https", 200, "bounce_milter_sessions"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{}
			if tt.config != "" {
				o.ConfigFile = filepath.Join(dir, strings.ReplaceAll(tt.name, " ", "-")+".yml")
				write(t, o.ConfigFile, tt.config)
			}
			if err := o.Check().Err(); err != nil {
				t.Error(err)
			}
			s, addr := serve(t, o)
			if got := s.TLS(); got != strings.HasPrefix(tt.config, "tls") {
				t.Errorf("TLS: %v", got)
			}
			code, body := ask(t, tt.client, tt.scheme+"://"+addr+"/metrics", tt.user, tt.pass)
			if code != tt.code || !strings.Contains(body, tt.body) {
				t.Errorf("%d %q, want %d with %q", code, body, tt.code, tt.body)
			}
		})
	}
}

// An unknown user takes as long as a known one, since the toolkit compares a password all the
// same. That costs too much for the race detector.
func TestCostOfUnknownUser(t *testing.T) {
	o := Options{ConfigFile: filepath.Join(t.TempDir(), "web.yml")}
	write(t, o.ConfigFile, "basic_auth_users: {prometheus: "+hash(t, "secret")+"}\n")
	_, addr := serve(t, o)
	if code, body := ask(t, http.DefaultClient, "http://"+addr+"/metrics", "prom", "secret"); code != 401 || strings.Contains(body, "bounce_milter_") {
		t.Errorf("%d %s", code, body)
	}
}

// TestFilesAreReadAgain renews the certificate and changes the password of a server that
// runs, then breaks the file: whoever was let in before still is, and nobody else.
func TestFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t, dir)
	_, first := a.issue("server", time.Hour)
	o := Options{ConfigFile: filepath.Join(dir, "web.yml")}
	config := func(password string) {
		write(t, o.ConfigFile, "tls_server_config: {cert_file: server.pem, key_file: server.key}\nbasic_auth_users: {u: "+hash(t, password)+"}\n")
	}
	config("old")
	_, addr := serve(t, o)
	url := "https://" + addr + "/-/ready"
	serial := func() *big.Int {
		c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: a.pool()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber
	}
	if code, body := ask(t, a.client(""), url, "u", "old"); code != 200 || serial().Cmp(first.SerialNumber) != 0 {
		t.Fatalf("%d %s", code, body)
	}
	_, second := a.issue("server", time.Hour)
	config("new")
	if serial().Cmp(second.SerialNumber) != 0 {
		t.Error("the old certificate is in use")
	}
	for password, want := range map[string]int{"old": 401, "new": 200} {
		if code, body := ask(t, a.client(""), url, "u", password); code != want {
			t.Errorf("%s: %d %s", password, code, body)
		}
	}
	for name, wrong := range map[string]string{
		"a certificate that is not there, and no password": "tls_server_config: {cert_file: gone.pem, key_file: server.key}\n",
		"no YAML": "basic_auth_users: {\n",
		"no file": "",
	} {
		write(t, o.ConfigFile, wrong)
		if wrong == "" {
			if err := os.Remove(o.ConfigFile); err != nil {
				t.Fatal(err)
			}
		}
		if serial().Cmp(second.SerialNumber) != 0 {
			t.Errorf("%s: another certificate is in use", name)
		}
		for password, want := range map[string]int{"new": 200, "old": 503, "": 503} {
			user := "u"
			if password == "" {
				user = ""
			}
			code, body := ask(t, a.client(""), url, user, password)
			if code != want || code == 503 && !strings.Contains(body, "web_config") {
				t.Errorf("%s, with password %q: %d %s", name, password, code, body)
			}
		}
	}
	config("mended")
	for password, want := range map[string]int{"new": 401, "mended": 200} {
		if code, body := ask(t, a.client(""), url, "u", password); code != want {
			t.Errorf("when it is mended, with password %q: %d %s", password, code, body)
		}
	}
}

// Where no password is asked for, everybody is let in while the file is wrong, if anybody was
// before. What the toolkit's rate limit turns away was not let in.
func TestWrongFileWithoutPasswords(t *testing.T) {
	o := Options{ConfigFile: filepath.Join(t.TempDir(), "web.yml")}
	write(t, o.ConfigFile, "rate_limit: {burst: 2, interval: 1h}\n")
	_, addr := serve(t, o)
	url := "http://" + addr + "/-/ready"
	codes := []int{}
	askAs := func(user string) {
		code, _ := ask(t, http.DefaultClient, url, user, "x")
		codes = append(codes, code)
	}
	askAs("")
	askAs("a")
	askAs("b")
	write(t, o.ConfigFile, "rate_limit: {burst: 2, interval: soon}\n")
	askAs("")
	askAs("a")
	askAs("b")
	if want := []int{200, 200, 429, 200, 200, 503}; !slices.Equal(codes, want) {
		t.Errorf("answers: %v, want %v", codes, want)
	}
}

// TestGuesses tries many passwords. Who knows the right one gets through all the same.
func TestGuesses(t *testing.T) {
	o := Options{ConfigFile: filepath.Join(t.TempDir(), "web.yml")}
	write(t, o.ConfigFile, "basic_auth_users: {u: "+hash(t, "right")+"}\n")
	_, addr := serve(t, o)
	url := "http://" + addr + "/metrics"
	if code, _ := ask(t, http.DefaultClient, url, "u", "right"); code != 200 {
		t.Fatal(code)
	}
	codes := map[int]int{}
	for i := range 200 {
		code, _ := ask(t, http.DefaultClient, url, "u", fmt.Sprint(i))
		codes[code]++
	}
	if codes[429] == 0 || codes[401] == 0 || codes[429]+codes[401] != 200 {
		t.Errorf("answers: %v", codes)
	}
	if code, _ := ask(t, http.DefaultClient, url, "u", "right"); code != 200 {
		t.Errorf("the right password: %d", code)
	}
	if code, _ := ask(t, http.DefaultClient, url, "", ""); code != 401 {
		t.Errorf("no password: %d", code)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t, dir)
	a.issue("server", time.Hour)
	a.issue("other", time.Hour)
	_, expired := a.issue("expired", -time.Hour)
	write(t, filepath.Join(dir, "empty.pem"), "\n")
	if err := os.Chmod(filepath.Join(dir, "other.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "web.yml")
	for _, tt := range []struct{ name, config, want string }{
		{"no certificate", "tls_server_config:\n  cert_file: gone.pem\n  key_file: server.key\n",
			"web.yml:2: tls_server_config.cert_file: the file DIR/gone.pem does not exist: create it, or correct the path"},
		{"no key", "tls_server_config:\n  cert_file: DIR/server.pem\n  key_file: /nowhere/k\n",
			"web.yml:3: tls_server_config.key_file: the file /nowhere/k does not exist: create it, or correct the path"},
		{"no key at all", "tls_server_config:\n  cert_file: server.pem\n",
			"web.yml:2: tls_server_config: has no key: add key_file, the private key of the certificate"},
		{"no certificate at all", "tls_server_config:\n  key_file: server.key\n", "web.yml:2: tls_server_config: has no certificate: add cert_file"},
		{"another's key", "tls_server_config:\n  cert_file: server.pem\n\n  key_file: other.key\n",
			"web.yml:4: tls_server_config.key_file: DIR/other.key is no private key of the certificate DIR/server.pem: name the key that it was made with"},
		{"an empty certificate", "tls_server_config:\n  cert_file: empty.pem\n  key_file: server.key\n",
			"web.yml:2: tls_server_config.cert_file: the file DIR/empty.pem contains no certificate: write it in PEM, beginning with -----BEGIN CERTIFICATE-----"},
		{"an empty authority, which the toolkit takes", "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  client_ca_file: empty.pem\n  client_auth_type: RequireAndVerifyClientCert\n",
			"web.yml:4: tls_server_config.client_ca_file: the file DIR/empty.pem contains no certificate: write it in PEM, beginning with -----BEGIN CERTIFICATE-----"},
		{"a password as it is", "basic_auth_users:\n  a: $2y$05$abcdefghijklmnopqrstuuKJ3gDT8VpUlD2KAGm.T0sLw0KO1DUVa\n  prometheus: secret\n",
			"web.yml:3: basic_auth_users.prometheus: is no bcrypt hash of a password: make one with htpasswd -nB, or mkpasswd -m bcrypt"},
		{"a hash with something behind it", "basic_auth_users:\n  a: $2y$05$abcdefghijklmnopqrstuuKJ3gDT8VpUlD2KAGm.T0sLw0KO1DUVabc\n",
			"web.yml:2: basic_auth_users.a: is no bcrypt hash of a password: make one with htpasswd -nB, or mkpasswd -m bcrypt"},
		{"an unknown key", "basic_auth_users: {}\nbasic_auth_user:\n  u: x\n",
			`web.yml:2: unknown key "basic_auth_user": see the manual of exporter-toolkit, web-configuration.md`},
		{"no YAML", "basic_auth_users: {\n", "web.yml:1: did not find expected node content"},
		{"an authority that is not used", "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  client_ca_file: ca.pem\n",
			"web.yml: client CA's have been configured without a Client Auth Policy"},
		{"good", "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n", ""},
		{"TLS off", "tls_server_config: {}\n", ""},
		{"a key for everybody", "tls_server_config:\n  cert_file: other.pem\n  key_file: other.key\n", "now: web.yml:3: tls_server_config.key_file: everybody may read DIR/other.key: chmod o= DIR/other.key"},
		{"expired", "tls_server_config:\n  cert_file: expired.pem\n  key_file: expired.key\n", "now: web.yml:2: tls_server_config.cert_file: the certificate in DIR/expired.pem expired on "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			write(t, path, strings.ReplaceAll(tt.config, "DIR", dir))
			o := Options{ConfigFile: path}
			got := o.Check().Error()
			if ps := o.CheckNow(); len(ps) > 0 {
				got = "now: " + ps.Error()
				got, _, _ = strings.Cut(got, expired.NotAfter.Format(time.DateOnly))
			}
			want := strings.ReplaceAll(tt.want, "DIR", dir)
			if got = strings.ReplaceAll(got, path, "web.yml"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if strings.Contains(got, "secret") {
				t.Error("the message has a password")
			}
		})
	}
	for _, file := range []string{"/nowhere/web.yml", dir} {
		if ps := (Options{ConfigFile: file}).Check(); len(ps) != 1 || ps[0].File != "" || ps[0].Key != configKey || !strings.Contains(ps[0].Message, file) {
			t.Errorf("%s: %v", file, ps)
		}
	}
}

func TestHosts(t *testing.T) {
	_, addr := serve(t, Options{Hosts: []string{"metrics.example.org", "MX1"}})
	_, port, _ := net.SplitHostPort(addr)
	wide, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	everywhere, err := New([]net.Listener{wide}, Handler(testPages), Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	everywhere.Start(func(a net.Addr, err error) { t.Errorf("%v: %v", a, err) })
	defer everywhere.Close()
	for _, tt := range []struct {
		at, host string
		code     int
	}{
		{addr, "localhost", 200},
		{addr, "localhost:" + port, 200},
		{addr, "LocalHost.", 200},
		{addr, "127.0.0.1:" + port, 200},
		{addr, "127.0.1.1", 200},
		{addr, "[::1]:" + port, 200},
		{addr, "[::1]", 200},
		{addr, "metrics.example.org", 200},
		{addr, "Metrics.Example.Org.:80", 200},
		{addr, "mx1", 200},
		{addr, "evil.example", 403},
		{addr, "evil.example:" + port, 403},
		{addr, "localhost.evil.example", 403},
		{addr, "127.0.0.1.evil.example", 403},
		{addr, "192.0.2.1", 403},
		{addr, "0.0.0.0", 403},
		{wide.Addr().String(), "evil.example", 200}, // everybody reaches it by any name
	} {
		r, err := http.NewRequest("GET", "http://"+tt.at+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tt.host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.code || tt.code == 403 && strings.Contains(string(body), "bounce_milter_") {
			t.Errorf("%s: %d %s", tt.host, resp.StatusCode, body)
		}
	}
	// A client of HTTP/1.0 need not name a host; browsers always do.
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	io.WriteString(nc, "GET /metrics HTTP/1.0\r\n\r\n")
	answer, err := io.ReadAll(nc)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 200") {
		t.Errorf("without a Host: %s %v", answer, err)
	}
}
