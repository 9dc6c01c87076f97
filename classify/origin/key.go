package origin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/files"
)

const (
	// MinKey is how many octets a key has at least.
	MinKey = 32
	// MaxKeys is how many keys a file may have.
	MaxKeys = 16

	maxKey     = 1024
	maxKeyFile = 64 << 10
	maxKeyID   = 32
)

// Keys are secret keys: the first signs, all verify. They do not change, and are safe
// for concurrent use.
type Keys struct{ list []key }

type key struct {
	id     string
	secret []byte
}

// IDs returns the names of the keys, in order.
func (k *Keys) IDs() []string {
	var ids []string
	for _, key := range k.list {
		ids = append(ids, key.id)
	}
	return ids
}

// GenerateKey makes a key and returns the line for it in a key file, without a line end.
// Its name begins with the date.
func GenerateKey(now time.Time) string {
	secret := make([]byte, MinKey)
	rand.Read(secret) // never fails
	tag := make([]byte, 2)
	rand.Read(tag)
	return now.UTC().Format("20060102") + "-" + hex.EncodeToString(tag) + " " + base64.StdEncoding.EncodeToString(secret)
}

// ParseKeys reads a key file: one key a line, as its name, a space, and the key in base64
// (RFC 4648). Empty lines and those that begin with # are comments. The error has a line
// for each problem, with its mend, and nothing of a key.
func ParseKeys(data []byte) (keys *Keys, err error) {
	keys = &Keys{}
	var problems []error
	bad := func(n int, format string, a ...any) {
		problems = append(problems, fmt.Errorf("line %d: %s", n, fmt.Sprintf(format, a...)))
	}
	const form = `write a name, a space and the key, as "bounce-milter ticket keygen" prints them`
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(words) != 2 {
			bad(n, "has %d words: %s", len(words), form)
			continue
		}
		id := words[0]
		secret, err := decodeKey(words[1])
		switch {
		case !isKeyID(id):
			bad(n, "the name is not of letters, digits, %q and %q, %d at most: %s", "-", "_", maxKeyID, form)
		case err != nil:
			bad(n, "the key is not base64: %s", form)
		case len(secret) < MinKey:
			bad(n, "the key has %d octets, and needs %d: make one with \"bounce-milter ticket keygen\"", len(secret), MinKey)
		case len(secret) > maxKey:
			bad(n, "the key has %d octets: %d are more than enough", len(secret), maxKey)
		case uniform(secret):
			bad(n, "the key is one octet repeated: make one with \"bounce-milter ticket keygen\"")
		case slices.ContainsFunc(keys.list, func(k key) bool { return k.id == id }):
			bad(n, "the name %s stands twice: give each key its own", id)
		case slices.ContainsFunc(keys.list, func(k key) bool { return hmac.Equal(k.secret, secret) }):
			bad(n, "the key stands twice: take one out")
		case len(keys.list) == MaxKeys:
			bad(n, "is one of more than %d keys: take out those that are older than max_age", MaxKeys)
			return nil, errors.Join(problems...)
		default:
			keys.list = append(keys.list, key{id, secret})
		}
	}
	if len(problems) == 0 && len(keys.list) == 0 {
		problems = append(problems, errors.New("no key is in it: "+form))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return keys, nil
}

func decodeKey(s string) ([]byte, error) {
	return base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(s, "="))
}

func uniform(b []byte) bool { return len(b) > 0 && strings.Count(string(b), string(b[:1])) == len(b) }

func isKeyID(s string) bool {
	for i := 0; i < len(s); i++ {
		if !ascii.IsAlnum(s[i]) && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return s != "" && len(s) <= maxKeyID
}

// ReadKeys reads a key file. It refuses one that others may read: the owner alone may
// (mode 0600), or if the owner is root, a group too (0640). Each line of the error names
// the file, what is wrong, and the mend.
func ReadKeys(path string) (*Keys, error) {
	data, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	keys, err := ParseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("the key file %s: %s", path, strings.ReplaceAll(err.Error(), "\n", "\nthe key file "+path+": "))
	}
	return keys, nil
}

func readSecret(path string) ([]byte, error) {
	// It does not wait for a writer, if the file is a pipe.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err == nil {
		defer f.Close()
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil {
			if why := exposed(info); why != "" {
				return nil, fmt.Errorf("the key file %s %s", path, why)
			}
		}
	}
	var data []byte
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the key file %s does not exist: make it with \"bounce-milter ticket keygen --append %[1]s\"", path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the key file %s cannot be read by the daemon's user: give it to that user", path)
	case err != nil:
		return nil, fmt.Errorf("the key file %s cannot be read: %w", path, files.Why(err))
	case len(data) > maxKeyFile:
		return nil, fmt.Errorf("the key file %s is longer than %d octets: name the one that holds the keys alone", path, maxKeyFile)
	}
	return data, nil
}

// exposed says what is wrong with a key file's mode, "" if nothing is.
func exposed(info fs.FileInfo) string {
	mode := info.Mode()
	switch {
	case !mode.IsRegular():
		return "is no regular file: name the file that holds the keys"
	case mode.Perm()&0o007 != 0:
		return fmt.Sprintf("has mode %04o, so that everybody may use it: chmod 600, and replace the keys if others could read them", mode.Perm())
	case mode.Perm()&0o020 != 0:
		return fmt.Sprintf("has mode %04o, so that a group may write it: chmod 600", mode.Perm())
	case mode.Perm()&0o040 != 0 && !ownedByRoot(info):
		return fmt.Sprintf("has mode %04o, so that a group may read it: chmod 600, or chown root", mode.Perm())
	}
	return ""
}

// mac writes fields to an HMAC, each with its length before it, so that different lists of
// fields are different octets.
type mac struct{ hash.Hash }

func newMAC(secret []byte) mac { return mac{hmac.New(sha256.New, secret)} }

// of returns the first octets of the MAC of fields.
func (m mac) of(size int, fields ...string) string {
	m.Reset()
	buf := make([]byte, 0, 512)
	for _, f := range fields {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(f)))
		buf = append(buf, f...)
	}
	m.Write(buf)
	return string(m.Sum(buf[:0])[:size])
}
