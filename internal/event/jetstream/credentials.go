package jetstream

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// credentials are what proves to a server who we are: one of a JWT with its key, a key, a
// user with a password, or a token, as the file has it.
type credentials struct {
	jwt            string        // the user's JWT; its owner signs with key
	key            nkeys.KeyPair // the user's
	user, password string
	token          string
}

// readCredentials reads any kind of credentials that NATS accepts. The error does not
// quote the file.
func readCredentials(path string) (*credentials, error) {
	text, err := event.ReadSecret(path)
	if err != nil {
		return nil, err
	}
	bad := func(what string) error {
		return fmt.Errorf("the file %s contains %s: write what \"nsc generate creds\" prints, the seed of an nkey, user:password, or a token",
			path, what)
	}
	var c credentials
	switch user, password, isPair := bytes.Cut(text, []byte(":")); {
	case bytes.HasPrefix(text, []byte("-----BEGIN")):
		// RFC 7519 section 3: three parts.
		if c.jwt, err = nkeys.ParseDecoratedJWT(text); err != nil || strings.Count(c.jwt, ".") != 2 {
			return nil, bad("a JWT that cannot be read")
		}
		if c.key, err = nkeys.ParseDecoratedUserNKey(text); err != nil {
			return nil, bad("a JWT without the key of its user")
		}
	case bytes.ContainsAny(text, " \t\r\n"):
		return nil, bad("more than one word")
	case isPair:
		c.user, c.password = string(user), string(password)
		if c.user == "" || c.password == "" {
			return nil, bad("a user without a password")
		}
	default:
		if c.key, err = nkeys.FromSeed(text); err != nil {
			c.key, c.token = nil, string(text)
			break
		}
		if public, err := c.key.PublicKey(); err != nil || !nkeys.IsValidPublicUserKey(public) {
			return nil, bad("an nkey that is not a user's")
		}
	}
	return &c, nil
}

// kind returns the kind of the credentials. For an nkey it returns the user's public key,
// because that is set only once, when the sink is made.
func (c *credentials) kind() string {
	switch {
	case c.jwt != "":
		return "jwt"
	case c.key != nil:
		public, _ := c.key.PublicKey() // read before, in readCredentials
		return public
	case c.user != "":
		return "user"
	}
	return "token"
}

// withCredentials reads the file for each connection, so that renewed credentials are
// used. The last credentials stay in use while the file cannot be read, for example
// because the daemon is no longer root, or while it contains another kind.
func withCredentials(path string) (nats.Option, error) {
	last, err := readCredentials(path)
	if err != nil {
		return nil, err
	}
	// Not called concurrently, because connections are made one after the other.
	now := func() *credentials {
		if c, err := readCredentials(path); err == nil && c.kind() == last.kind() {
			last = c
		}
		return last
	}
	sign := func(nonce []byte) ([]byte, error) { return last.key.Sign(nonce) }
	switch kind := last.kind(); kind {
	case "jwt":
		return nats.UserJWT(func() (string, error) { return now().jwt, nil }, sign), nil
	case "user":
		return nats.UserInfoHandler(func() (string, string) { c := now(); return c.user, c.password }), nil
	case "token":
		return nats.TokenHandler(func() string { return now().token }), nil
	default:
		return nats.Nkey(kind, sign), nil
	}
}
