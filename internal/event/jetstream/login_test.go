package jetstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab/natslab"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// write writes a file into dir and returns its path.
func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// nkey makes a key and returns its public half and its seed.
func nkey(t *testing.T, make func() (nkeys.KeyPair, error)) (pair nkeys.KeyPair, public string, seed []byte) {
	t.Helper()
	pair, err := make()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = pair.PublicKey(); err != nil {
		t.Fatal(err)
	}
	if seed, err = pair.Seed(); err != nil {
		t.Fatal(err)
	}
	return pair, public, seed
}

// authority is a NATS operator with one account. It makes the configuration of servers and
// the credentials of users.
type authority struct {
	conf    string
	account nkeys.KeyPair
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	operator, operatorID, _ := nkey(t, nkeys.CreateOperator)
	account, accountID, _ := nkey(t, nkeys.CreateAccount)
	_, systemID, _ := nkey(t, nkeys.CreateAccount)
	encode := func(c jwt.Claims, by nkeys.KeyPair) string {
		text, err := c.Encode(by)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	oc := jwt.NewOperatorClaims(operatorID)
	oc.SystemAccount = systemID
	ac := jwt.NewAccountClaims(accountID)
	ac.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1}
	sc := jwt.NewAccountClaims(systemID)
	return &authority{account: account, conf: fmt.Sprintf("operator: %s\nresolver: MEMORY\nresolver_preload { %s: %s, %s: %s }\n",
		encode(oc, operator), accountID, encode(ac, operator), systemID, encode(sc, operator))}
}

// user returns the credentials of a user, and its key's seed.
func (a *authority) user(t *testing.T, expires time.Time) (creds, seed []byte) {
	t.Helper()
	_, id, seed := nkey(t, nkeys.CreateUser)
	uc := jwt.NewUserClaims(id)
	if !expires.IsZero() {
		uc.Expires = expires.Unix()
	}
	text, err := uc.Encode(a.account)
	if err != nil {
		t.Fatal(err)
	}
	creds, err = jwt.FormatUserConfig(text, seed)
	if err != nil {
		t.Fatal(err)
	}
	return creds, seed
}

// certificates makes an authority, and certificates signed by it for a server on the
// loopback and for a client, as PEM files in dir.
func certificates(t *testing.T, dir string) {
	t.Helper()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(name string, serial int64, usage x509.ExtKeyUsage, key *ecdsa.PrivateKey) {
		c := ca
		if serial > 1 {
			c = &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
				ExtKeyUsage: []x509.ExtKeyUsage{usage}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter}
		}
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		write(t, dir, name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	}
	issue("ca", 1, 0, caKey)
	for i, name := range []string{"server", "client"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		issue(name, int64(i+2), []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}[i], key)
	}
}

// login is a way to log in: what the servers ask for, and what a sink has.
type login struct {
	name   string
	opts   Options
	secret string // must not be in an error
	want   string // text of the error, "" if records are accepted
}

// testLogins tries each login on one server. admin are the options of a client that may
// create the stream.
func testLogins(t *testing.T, conf string, logins []login, admin ...nats.Option) {
	t.Helper()
	servers := start(t, ports(t, 1), conf)
	nc, js, err := servers.Connect(admin...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if err := servers.CreateStream(js, "BOUNCES", "bounces.>"); err != nil {
		t.Fatal(err)
	}
	good := 0
	t.Cleanup(func() { // after all parallel subtests
		if all, err := natslab.Messages(js, "BOUNCES"); err != nil || len(all) != good {
			t.Errorf("the stream holds %d records (%v), want %d", len(all), err, good)
		}
	})
	for i, tt := range logins {
		if tt.want == "" {
			good++
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.opts.Servers == nil {
				tt.opts.Servers = servers.URLs()
			} else {
				tt.opts.Servers = []string{strings.Replace(servers.URLs()[0], "nats://", tt.opts.Servers[0], 1)}
			}
			s := sink(t, tt.opts)
			if tt.want == "" {
				send(t, s, items(t, i, 1))
				return
			}
			sent, err := s.Send(t.Context(), items(t, i, 1))
			if err == nil || !strings.Contains(err.Error(), tt.want) || sent.Done != 0 {
				t.Errorf("Send = %+v, %v; want %q", sent, err, tt.want)
			}
			if tt.secret != "" && strings.Contains(err.Error(), tt.secret) {
				t.Errorf("a secret is in %q", err)
			}
		})
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	right := write(t, dir, "right", []byte("mta:s3cret:x\n"))
	wrong := write(t, dir, "wrong", []byte("mta:hunter2"))
	denied := write(t, dir, "denied", []byte("reader:hunter3"))
	const conf = `authorization { users: [
		{ user: mta, password: "s3cret:x" }
		{ user: reader, password: hunter3, permissions: { publish: "nothing", subscribe: ">" } }
	] }`
	testLogins(t, conf, []login{
		{name: "right", opts: Options{CredentialsFile: right}},
		{name: "wrong", opts: Options{CredentialsFile: wrong}, secret: "hunter2", want: "Authorization Violation"},
		{name: "none", opts: Options{}, want: "Authorization Violation"},
		{name: "may not publish", opts: Options{CredentialsFile: denied}, secret: "hunter3", want: `Permissions Violation for Publish to "bounces.mailbox-full"`},
	}, nats.UserInfo("mta", "s3cret:x"))
}

func TestToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	right := write(t, dir, "right", []byte("s3cret\n"))
	wrong := write(t, dir, "wrong", []byte("hunter2\n"))
	testLogins(t, `authorization { token: "s3cret" }`, []login{
		{name: "right", opts: Options{CredentialsFile: right}},
		{name: "wrong", opts: Options{CredentialsFile: wrong}, secret: "hunter2", want: "Authorization Violation"},
	}, nats.Token("s3cret"))
}

func TestNkey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pair, public, seed := nkey(t, nkeys.CreateUser)
	_, _, other := nkey(t, nkeys.CreateUser)
	testLogins(t, fmt.Sprintf("authorization { users: [ { nkey: %s } ] }", public), []login{
		{name: "right", opts: Options{CredentialsFile: write(t, dir, "right", append(seed, '\n'))}},
		{name: "other", opts: Options{CredentialsFile: write(t, dir, "other", other)}, secret: string(other), want: "Authorization Violation"},
	}, nats.Nkey(public, pair.Sign))
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, stranger := newAuthority(t), newAuthority(t)
	creds, _ := a.user(t, time.Time{})
	old, oldSeed := a.user(t, time.Now().Add(-time.Hour))
	strange, strangeSeed := stranger.user(t, time.Time{})
	testLogins(t, a.conf, []login{
		{name: "right", opts: Options{CredentialsFile: write(t, dir, "right.creds", creds)}},
		{name: "expired", opts: Options{CredentialsFile: write(t, dir, "old.creds", old)}, secret: string(oldSeed), want: "Authorization Violation"},
		{name: "of others", opts: Options{CredentialsFile: write(t, dir, "strange.creds", strange)}, secret: string(strangeSeed), want: "Authorization Violation"},
	}, nats.UserCredentialBytes(creds))
}

// A renewed file is used for the next connection; a file that was removed does no harm.
func TestCredentialsRenewed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := newAuthority(t)
	creds, _ := a.user(t, time.Time{})
	old, _ := a.user(t, time.Now().Add(-time.Hour))
	path := write(t, dir, "mta.creds", old)
	servers := start(t, ports(t, 1), a.conf)
	nc, js, err := servers.Connect(nats.UserCredentialBytes(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := servers.CreateStream(js, "BOUNCES", "bounces.>"); err != nil {
		t.Fatal(err)
	}
	s := sink(t, Options{Servers: servers.URLs(), CredentialsFile: path})
	if _, err := s.Send(t.Context(), items(t, 1, 1)); err == nil {
		t.Fatal("sent with credentials that have expired")
	}
	write(t, dir, "mta.creds", creds)
	resend(t, s, items(t, 1, 1))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	servers.Kill(0)
	if err := servers.Restart(0); err != nil {
		t.Fatal(err)
	}
	resend(t, s, items(t, 2, 1))
	if got := stored(t, js); len(got) != 2 {
		t.Errorf("the stream holds %q", got)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir, others := t.TempDir(), t.TempDir()
	certificates(t, dir)
	certificates(t, others)
	in := func(name string) string { return filepath.Join(dir, name) }
	const forced = "tls://"
	conf := fmt.Sprintf("tls { cert_file: %q, key_file: %q }", in("server.pem"), in("server.key"))
	testLogins(t, conf, []login{
		{name: "by the scheme", opts: Options{Servers: []string{forced}, CAFile: in("ca.pem")}},
		{name: "by the server", opts: Options{CAFile: in("ca.pem")}},
		{name: "not trusted", opts: Options{}, want: "certificate signed by unknown authority"},
		{name: "of others", opts: Options{Servers: []string{forced}, CAFile: filepath.Join(others, "ca.pem")}, want: "certificate signed by unknown authority"},
	}, nats.RootCAs(in("ca.pem")))
	conf = fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }", in("server.pem"), in("server.key"), in("ca.pem"))
	testLogins(t, conf, []login{
		{name: "our certificate", opts: Options{CAFile: in("ca.pem"), CertFile: in("client.pem"), KeyFile: in("client.key")}},
		{name: "no certificate", opts: Options{CAFile: in("ca.pem")}, want: "tls"},
	}, nats.RootCAs(in("ca.pem")), nats.ClientCert(in("client.pem"), in("client.key")))
	// A sink that requires TLS does not accept a server without it.
	testLogins(t, "", []login{
		{name: "none to be had", opts: Options{Servers: []string{forced}}, want: "secure connection not available"},
		{name: "none to be had for our authority", opts: Options{CAFile: in("ca.pem")}, want: "secure connection not available"},
	})
}

// Files without credentials are refused at once, and errors do not quote them.
func TestBadCredentials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, _, account := nkey(t, nkeys.CreateAccount)
	creds, seed := newAuthority(t).user(t, time.Time{})
	body, _, _ := strings.Cut(string(creds), "************")
	for name, tt := range map[string]struct{ give, want string }{
		"empty":           {" \n", "is empty"},
		"words":           {"user hunter2", "more than one word"},
		"no password":     {"hunter2:", "a user without a password"},
		"no user":         {":hunter2", "a user without a password"},
		"account's nkey":  {string(account), "not a user's"},
		"without the key": {body, "without the key"},
		"key alone":       {"-----BEGIN USER NKEY SEED-----\n" + string(seed) + "\n------END USER NKEY SEED------\n", "a JWT that cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, dir, strings.ReplaceAll(name, " ", "-"), []byte(tt.give))
			_, err := New(Options{Servers: []string{"nats://127.0.0.1"}, CredentialsFile: path})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("New: %v; want %q of %s", err, tt.want, path)
			}
			for _, secret := range []string{"hunter2", string(account), string(seed)} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("a secret is in %q", err)
				}
			}
		})
	}
}
