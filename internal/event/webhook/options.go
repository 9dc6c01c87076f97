package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Format is the form of a request.
type Format string

// The formats.
const (
	FormatNative   Format = "native"   // records as they are, in an array
	FormatListmonk Format = "listmonk" // one object per request, for listmonk
)

// Formats are all formats.
var Formats = []Format{FormatNative, FormatListmonk}

// Block says what listmonk gets for a bounce of type block. Listmonk has no such type.
// "hard" is not among the choices, because the address is good.
type Block string

// The values of Block.
const (
	BlockSkip Block = "skip" // nothing
	BlockSoft Block = "soft" // a soft bounce
)

// Blocks are all values of Block.
var Blocks = []Block{BlockSkip, BlockSoft}

// Unproven says what listmonk gets for a hard bounce or a complaint if the mail is not
// proved to have gone to the address. Anybody can write such a report.
type Unproven string

// The values of Unproven.
const (
	UnprovenSend Unproven = "send" // the same as if it were proved
	UnprovenSoft Unproven = "soft" // a soft bounce for a hard one, and no complaint
	UnprovenSkip Unproven = "skip" // nothing
)

// Unprovens are all values of Unproven.
var Unprovens = []Unproven{UnprovenSend, UnprovenSoft, UnprovenSkip}

// Options are an administrator's settings of a webhook.
type Options struct {
	URL        string
	Format     Format
	SecretFile string        // native: signing keys, one a line, "" to sign nothing; listmonk: user:token
	CAFile     string        // certificates to trust in addition to the host's, "" for none
	Timeout    time.Duration // of a request, from the connection to the end of the answer
	Block      Block         // only for FormatListmonk
	Unproven   Unproven      // likewise
}

// DefaultOptions returns the defaults.
func DefaultOptions() Options {
	return Options{Format: FormatNative, Timeout: 30 * time.Second, Block: BlockSkip, Unproven: UnprovenSend}
}

// Bounds of Options.Timeout.
const (
	minTimeout = time.Second
	maxTimeout = 10 * time.Minute
)

// listmonkPath is where listmonk accepts bounces from scripts.
const listmonkPath = "/webhooks/bounce"

// Check adds what is wrong with the options. key is the sink's table in the configuration
// file: "events.sink[0]" leads to "events.sink[0].url".
func (o *Options) Check(ps *toml.Problems, key string) {
	known := slices.Contains(Formats, o.Format)
	if !known {
		ps.Add(key+".format", "%q is not a format: write %s", clean(string(o.Format)), toml.OneOf(Formats))
	}
	if o.URL == "" {
		example := "https://crm.example.org/hooks/bounces"
		if o.Format == FormatListmonk {
			example = "https://listmonk.example.org" + listmonkPath
		}
		ps.Add(key+".url", "is missing: write where to send records, as in %q", example)
	} else if _, err := parseURL(o.URL, o.Format); err != nil {
		ps.Add(key+".url", "%v", err)
	}
	switch {
	case o.SecretFile != "" && !filepath.IsAbs(o.SecretFile):
		ps.Add(key+".secret_file", "%q is a relative path: write it from the root", clean(o.SecretFile))
	case o.SecretFile == "" && o.Format == FormatListmonk:
		ps.Add(key+".secret_file", "is missing: listmonk accepts nothing without authentication; name a file with "+
			"the name of a user of its API and that user's token, as in bounces:w3Xk9…")
	}
	if o.CAFile != "" && !filepath.IsAbs(o.CAFile) {
		ps.Add(key+".ca_file", "%q is a relative path: write it from the root", clean(o.CAFile))
	}
	if o.Timeout < minTimeout || o.Timeout > maxTimeout {
		ps.Add(key+".timeout", "%s is out of bounds: write a time from %s to %s", o.Timeout, minTimeout, maxTimeout)
	}
	switch {
	case !slices.Contains(Blocks, o.Block):
		mend := ""
		if o.Block == "hard" {
			mend = " (a block is about the sender: as a hard bounce it would remove good addresses from the list)"
		}
		ps.Add(key+".block", "%q is not a choice here: write %s%s", clean(string(o.Block)), toml.OneOf(Blocks), mend)
	case known && o.Format != FormatListmonk && o.Block != BlockSkip:
		ps.Add(key+".block", "is for format = %q only: take it out", FormatListmonk)
	}
	switch {
	case o.Unproven == "": // as UnprovenSend
	case !slices.Contains(Unprovens, o.Unproven):
		ps.Add(key+".unproven", "%q is not a choice here: write %s", clean(string(o.Unproven)), toml.OneOf(Unprovens))
	case known && o.Format != FormatListmonk && o.Unproven != UnprovenSend:
		ps.Add(key+".unproven", "is for format = %q only: take it out", FormatListmonk)
	}
}

// CheckHost adds what the options refer to and this host does not have.
func (o *Options) CheckHost(ps *toml.Problems, key string) {
	if o.SecretFile != "" {
		if _, err := readSecrets(o.SecretFile, o.Format); err != nil {
			ps.Add(key+".secret_file", "%v", err)
		} else if err := event.CheckPrivate(o.SecretFile); err != nil {
			ps.Add(key+".secret_file", "%v", err)
		}
	}
	if o.CAFile != "" {
		if _, err := event.ReadCertificates(o.CAFile); err != nil {
			ps.Add(key+".ca_file", "%v", err)
		}
	}
}

// Warn adds settings that work but allow others to read or forge records, or by which
// records may be lost.
func (o *Options) Warn(ps *toml.Problems, key string) {
	u, err := parseURL(o.URL, o.Format)
	if err != nil {
		return // Check reports this
	}
	switch {
	case u.Scheme == "http" && !local(u.Hostname()):
		ps.Add(key+".url", "is not encrypted, so anybody on the way can read addresses and answer in the receiver's place: "+
			"write https:// if the receiver supports it")
	case o.Format == FormatListmonk && !strings.HasSuffix(u.Path, listmonkPath):
		ps.Add(key+".url", "does not end in %s, where listmonk accepts bounces", listmonkPath)
	}
	if o.Format != FormatNative {
		return
	}
	if o.SecretFile == "" {
		ps.Add(key+".secret_file", "is missing, so requests are not signed and the receiver cannot tell a stranger's requests from ours: "+
			"name a file with a secret that both have")
		return
	}
	secrets, _ := readSecrets(o.SecretFile, o.Format) // CheckHost reports the error
	for i, s := range secrets {
		if len(s) < goodSecret {
			ps.Add(key+".secret_file", "secret %d of %s has %d octets, and Standard Webhooks requires at least %d: "+
				"make one with (echo -n whsec_; head -c 32 /dev/urandom | base64)", i+1, o.SecretFile, len(s), goodSecret)
		}
	}
}

// parseURL reads the address of a receiver. An error shows neither the user
// information nor the query, which may hold secrets.
func parseURL(s string, format Format) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("is not a URL: write one as in %q", "https://crm.example.org/hooks/bounces")
	case u.User != nil && format == FormatListmonk:
		return nil, errors.New("contains a user's name or password: take them out of the URL and put user:token into secret_file")
	case u.User != nil:
		return nil, errors.New("contains a user's name or password: take them out; requests are authenticated by the secret in secret_file")
	case u.Scheme == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("begins with neither https:// nor http://: write the whole address, as in %q", "https://crm.example.org/hooks/bounces")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, fmt.Errorf("names no host: write one, as in %q", u.Scheme+"://crm.example.org/hooks/bounces")
	case u.Fragment != "" || strings.Contains(s, "#"):
		return nil, errors.New(`has a part after "#", which is never sent: take it out`)
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("has port %q: write one from 1 to 65535", port)
		}
	}
	return u, nil
}

// local reports whether a name or address means this host, so that nobody is on the way.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
