package proof

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/internal/files"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Examiner says whose mail came back. It does not change, and is safe for concurrent use.
type Examiner struct {
	Keys  *origin.Keys // nil for none
	Judge *origin.Judge
	quick *origin.Judge // asks no DNS; nil if Judge asks none either
}

// Open reads the keys that options name. It returns nil if [origin] is not configured. The
// error is [toml.Problems].
func Open(o Options) (*Examiner, error) {
	if !o.On() {
		return nil, nil
	}
	keys, public, ps := o.read()
	if len(ps) > 0 {
		return nil, ps
	}
	out := origin.Options{Domains: o.Domains, Hosts: slices.Clone(o.Hosts), Networks: o.Networks, Keys: keys, MaxAge: o.MaxAge,
		TicketsSince: o.TicketSince, Resolver: o.Resolver}
	for i, d := range o.DKIM {
		out.DKIM = append(out.DKIM, origin.DKIMKey{Domain: d.Domain, Selector: d.Selector, Public: public[i]})
		// Mail from a domain of our DKIM keys is never foreign, even if its signature is
		// lost.
		out.Hosts = append(out.Hosts, d.Domain)
	}
	if host, err := os.Hostname(); err == nil {
		out.Hosts = append(out.Hosts, host)
	}
	e := &Examiner{Keys: keys}
	var err, quickErr error
	e.Judge, err = origin.New(out)
	if slices.ContainsFunc(o.DKIM, func(d DKIM) bool { return d.DNS }) {
		out.DKIM = slices.DeleteFunc(slices.Clone(out.DKIM), func(k origin.DKIMKey) bool { return k.Public == nil })
		e.quick, quickErr = origin.New(out)
	}
	if err = cmp.Or(err, quickErr); err != nil {
		return nil, toml.Problems{{Key: "origin", Message: err.Error()}} // Validate says more
	}
	return e, nil
}

// read reads the files that options name.
func (o *Options) read() (keys *origin.Keys, public []crypto.PublicKey, ps toml.Problems) {
	if o.KeyFile != "" {
		var err error
		if keys, err = origin.ReadKeys(o.KeyFile); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				ps.Add("origin.key_file", "%s", line)
			}
		}
	}
	public = make([]crypto.PublicKey, len(o.DKIM))
	for i, d := range o.DKIM {
		if d.PublicKeyFile == "" {
			continue
		}
		var err error
		if public[i], err = origin.ReadPublicKey(d.PublicKeyFile); err != nil {
			ps.Add(fmt.Sprintf("origin.dkim[%d].public_key_file", i), "%v", publicKeyError(d.PublicKeyFile, err))
		}
	}
	return keys, public, ps
}

// publicKeyError says why the file of a public key cannot be read, with the mend.
func publicKeyError(path string, err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); !ok {
		return err // about what is in the file
	}
	return files.Unreadable(path, err, "write the public key into it, in PEM or as its record in DNS", "chmod a+r "+path)
}

// CheckHost returns what is wrong with the files that options name, for a daemon that runs
// as the user uid, -1 if that is not known.
func (o *Options) CheckHost(uid int) toml.Problems {
	if !o.On() {
		return nil
	}
	_, _, ps := o.read()
	if len(ps) == 0 && o.KeyFile != "" {
		if why := locked(o.KeyFile, uid); why != "" {
			ps.Add("origin.key_file", "the key file %s %s", o.KeyFile, why)
		}
	}
	return ps
}

// locked says why a user cannot read a key file that others may not read, "" if the user can
// or that is not known.
func locked(path string, uid int) string {
	info, err := os.Stat(path)
	if err != nil || uid <= 0 {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == uid || info.Mode().Perm()&0o040 != 0 {
		return ""
	}
	name := func(id int) string {
		if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
			return u.Username
		}
		return "user " + strconv.Itoa(id)
	}
	return fmt.Sprintf("belongs to %s, and the daemon runs as %s, who cannot read it: chown %d %s", name(int(st.Uid)), name(uid), uid, path)
}
