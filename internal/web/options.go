package web

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"

	"github.com/bounce-milter/bounce-milter/internal/files"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Options are what an administrator may say about a server.
type Options struct {
	// ConfigFile is the path of a file as exporter-toolkit reads it, with
	// certificates and passwords; "" means plain HTTP for everybody.
	ConfigFile string
	// Hosts are names by which a loopback listener may be asked, beside localhost
	// and loopback addresses.
	Hosts []string
}

// Equal reports whether a and b say the same.
func (o Options) Equal(b Options) bool {
	return o.ConfigFile == b.ConfigFile && slices.Equal(o.Hosts, b.Hosts)
}

// configKey is the key of the configuration that names the file.
const configKey = "metrics.web_config"

// Check returns what is wrong with the file, at its lines. A problem without a file is
// one of the key that names it.
func (o Options) Check() toml.Problems {
	if o.ConfigFile == "" {
		return nil
	}
	data, err := os.ReadFile(o.ConfigFile)
	if err != nil {
		var ps toml.Problems
		ps.Add(configKey, "%v", files.Unreadable(o.ConfigFile, err, "create it, or correct the path", files.GiveToUser))
		return ps
	}
	wrong := toolkit.Validate(o.ConfigFile)
	f := configFile{path: o.ConfigFile}
	if err := yaml.Unmarshal(data, &f.doc); err == nil {
		f.explain(wrong != nil)
	}
	if len(f.problems) == 0 && wrong != nil {
		f.problems = toolkitProblems(o.ConfigFile, wrong)
	}
	return f.problems
}

// CheckNow returns what is wrong with the file for now, though it is taken: a certificate
// that has expired, a key that everybody on this host may read.
func (o Options) CheckNow() toml.Problems {
	if o.ConfigFile == "" || len(o.Check()) > 0 {
		return nil
	}
	f := configFile{path: o.ConfigFile}
	data, err := os.ReadFile(o.ConfigFile)
	if err != nil || yaml.Unmarshal(data, &f.doc) != nil {
		return nil
	}
	if node, path := f.file("key_file"); node != nil {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o004 != 0 {
			f.add(node, "tls_server_config.key_file", "everybody may read %s: chmod o= %[1]s", path)
		}
	}
	node, path := f.file("cert_file")
	if node == nil {
		return f.problems
	}
	if leaf := certificate(path); leaf != nil && time.Now().After(leaf.NotAfter) {
		f.add(node, "tls_server_config.cert_file", "the certificate in %s expired on %s: renew it", path, leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	return f.problems
}

// configFile is a file of the toolkit, which says what is wrong but not where.
type configFile struct {
	path     string
	doc      yaml.Node
	problems toml.Problems
}

func (f *configFile) add(at *yaml.Node, key, format string, args ...any) {
	f.problems = append(f.problems, toml.Problem{File: f.path, Line: at.Line, Key: key, Message: fmt.Sprintf(format, args...)})
}

// explain finds what administrators get wrong. refused tells that the toolkit does not take
// the file.
func (f *configFile) explain(refused bool) {
	const table = "tls_server_config."
	certNode, certPath := f.file("cert_file")
	keyNode, keyPath := f.file("key_file")
	caNode, caPath := f.file("client_ca_file")
	var cert, key []byte
	for _, file := range []struct {
		key  string
		node *yaml.Node
		path string
		data *[]byte
	}{{"cert_file", certNode, certPath, &cert}, {"key_file", keyNode, keyPath, &key}, {"client_ca_file", caNode, caPath, new([]byte)}} {
		if file.node == nil {
			continue
		}
		data, err := os.ReadFile(file.path)
		switch {
		case err != nil:
			f.add(file.node, table+file.key, "%v", files.Unreadable(file.path, err, "create it, or correct the path", files.GiveToUser))
		case file.key != "key_file" && !x509.NewCertPool().AppendCertsFromPEM(data):
			f.add(file.node, table+file.key, "the file %s contains no certificate: write it in PEM, beginning with -----BEGIN CERTIFICATE-----", file.path)
		default:
			*file.data = data
		}
	}
	f.explainUsers()
	if !refused {
		return
	}
	switch at := f.at("tls_server_config"); {
	case at == nil:
	case certNode == nil && f.at("tls_server_config", "cert") == nil:
		f.add(at, "tls_server_config", "has no certificate: add cert_file")
	case keyNode == nil && f.at("tls_server_config", "key") == nil:
		f.add(at, "tls_server_config", "has no key: add key_file, the private key of the certificate")
	case cert != nil && key != nil:
		if _, err := tls.X509KeyPair(cert, key); err != nil {
			f.add(keyNode, table+"key_file", "%s is no private key of the certificate %s: name the key that it was made with", keyPath, certPath)
		}
	}
}

// explainUsers finds passwords that stand there as they are, or in another form.
func (f *configFile) explainUsers() {
	users := f.at("basic_auth_users")
	if users == nil || users.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(users.Content); i += 2 {
		name, hash := users.Content[i], users.Content[i+1]
		// What stands behind the hash bcrypt.Cost does not see, but no password fits it.
		if _, err := bcrypt.Cost([]byte(hash.Value)); err != nil || len(hash.Value) != bcryptOctets {
			f.add(hash, "basic_auth_users."+name.Value, "is no bcrypt hash of a password: make one with htpasswd -nB, or mkpasswd -m bcrypt")
		}
	}
}

// bcryptOctets is the length of a bcrypt hash.
const bcryptOctets = 60

// at returns the value of a key, nil if there is none.
func (f *configFile) at(keys ...string) *yaml.Node {
	if len(f.doc.Content) == 0 {
		return nil
	}
	node := f.doc.Content[0]
next:
	for _, key := range keys {
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				node = node.Content[i+1]
				continue next
			}
		}
		return nil
	}
	return node
}

// file returns the value of a key of tls_server_config that is a path, and the path,
// which is relative to the folder of the file. The node is nil if there is no such key.
func (f *configFile) file(key string) (*yaml.Node, string) {
	node := f.at("tls_server_config", key)
	if node == nil || node.Kind != yaml.ScalarNode || node.Value == "" {
		return nil, ""
	}
	path := node.Value
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(f.path), path)
	}
	return node, path
}

// certificate returns the first certificate of a file, nil if there is none.
func certificate(path string) *x509.Certificate {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			return c
		}
	}
}

// toolkitProblems puts the toolkit's own words at their lines.
func toolkitProblems(path string, err error) (ps toml.Problems) {
	atLine := regexp.MustCompile(`line (\d+): ([^\n]+)`)
	unknownKey := regexp.MustCompile(`^field (\S+) not found in type web\.`)
	for _, m := range atLine.FindAllStringSubmatch(err.Error(), -1) {
		line, _ := strconv.Atoi(m[1])
		p := toml.Problem{File: path, Line: line, Message: m[2]}
		if k := unknownKey.FindStringSubmatch(m[2]); k != nil {
			p.Message = fmt.Sprintf("unknown key %q: see the manual of exporter-toolkit, web-configuration.md", k[1])
		}
		ps = append(ps, p)
	}
	if len(ps) == 0 {
		ps = append(ps, toml.Problem{File: path, Message: strings.ReplaceAll(err.Error(), "\n", " ")})
	}
	return ps
}
