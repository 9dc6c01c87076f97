package lab

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
)

// OpenDKIM is a running private OpenDKIM. It looks nothing up: it knows the public keys
// of the domains that it signs for.
type OpenDKIM struct {
	*Process
	// Addr is the address of its milter.
	Addr string
}

// opendkimDomains are the domains that it signs for.
var opendkimDomains = []string{"lab.test", "mx.lab.test", "mx.remote.test", "remote.test"}

// StartOpenDKIM starts OpenDKIM below the folder name of the Lab, with the key of all of
// its domains; conf is added to its configuration.
func (l *Lab) StartOpenDKIM(name string, key *rsa.PrivateKey, conf string) (*OpenDKIM, error) {
	_, program, env, err := debProgram("opendkim", []string{"opendkim"}, []string{"opendkim"})
	if err != nil {
		return nil, err
	}
	dir, err := l.mkdir(0o755, 0, 0, name)
	if err != nil {
		return nil, err
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	o := &OpenDKIM{Addr: Loopback(ports[0])}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(dir+"/key.pem", private, 0o600); err != nil {
		return nil, fmt.Errorf("writing the key of OpenDKIM: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("writing the public key of OpenDKIM: %w", err)
	}
	var keys strings.Builder
	for _, d := range opendkimDomains {
		fmt.Fprintf(&keys, "s1._domainkey.%s v=DKIM1; k=rsa; p=%s\n", d, base64.StdEncoding.EncodeToString(public))
	}
	text := fmt.Sprintf(opendkimConf, dir, ports[0], strings.Join(opendkimDomains, ",")) + conf
	for file, text := range map[string]string{dir + "/opendkim.conf": text, dir + "/public": keys.String()} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("writing the configuration of OpenDKIM: %w", err)
		}
	}
	o.Process, err = l.Start(Spec{
		Name: "opendkim", Path: program, Args: []string{"-f", "-x", dir + "/opendkim.conf"}, Env: env, Log: dir + "/log",
	})
	if err != nil {
		return nil, err
	}
	return o, o.UntilItListens("tcp", o.Addr)
}

// opendkimConf has the folder, the port and the domains as its arguments.
const opendkimConf = `Socket inet:%[2]d@127.0.0.1
Domain %[3]s
Selector s1
KeyFile %[1]s/key.pem
TestPublicKeys %[1]s/public
Syslog no
RequireSafeKeys no
AuthservID mx.lab.test
OversignHeaders From
`
