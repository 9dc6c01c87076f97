package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event"
)

// The headers of a signed request, as Standard Webhooks names them.
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"
)

const (
	// secretPrefix marks a secret that is written in base64.
	secretPrefix = "whsec_"
	// goodSecret is how many octets Standard Webhooks requires of a secret.
	goodSecret = 24
	// maxSecrets is how many secrets a file may contain: the old and the new ones while
	// they change.
	maxSecrets = 8
)

// readSecrets reads the secrets in a file: signing keys, one per line, or the user:token of
// listmonk. Errors do not quote the file.
func readSecrets(path string, format Format) ([][]byte, error) {
	data, err := event.ReadSecret(path)
	if err != nil {
		return nil, err
	}
	var secrets [][]byte
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		key := line
		if encoded, ok := bytes.CutPrefix(line, []byte(secretPrefix)); ok && format != FormatListmonk {
			key, err = base64.RawStdEncoding.AppendDecode(nil, bytes.TrimRight(encoded, "="))
			if err != nil || len(key) == 0 {
				return nil, fmt.Errorf("secret %d of %s begins with %s, but the rest is not base64: copy the whole secret",
					len(secrets)+1, path, secretPrefix)
			}
		}
		secrets = append(secrets, key)
	}
	switch {
	case len(secrets) > maxSecrets:
		return nil, fmt.Errorf("the file %s contains %d secrets: leave at most %d, those that receivers still use",
			path, len(secrets), maxSecrets)
	case format == FormatListmonk && len(secrets) > 1:
		return nil, fmt.Errorf("the file %s has %d lines: write one, user:token", path, len(secrets))
	case format == FormatListmonk:
		user, token, ok := strings.Cut(string(secrets[0]), ":")
		if !ok || user == "" || token == "" {
			return nil, fmt.Errorf(`the file %s does not contain user:token: write the name of a user of listmonk's API, ":" and that user's token`,
				path)
		}
		if bytes.ContainsFunc(secrets[0], func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("the file %s contains a space or another character that no header may contain: write user:token", path)
		}
	}
	return secrets, nil
}

// sign sets the headers of Standard Webhooks, with one signature for each secret. Without
// secrets it sets only the id.
func sign(h http.Header, secrets [][]byte, id string, at time.Time, body []byte) {
	h.Set(headerID, id)
	if len(secrets) == 0 {
		return
	}
	stamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(id + "." + stamp + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	h.Set(headerTimestamp, stamp)
	h.Set(headerSignature, strings.Join(signatures, " "))
}

// batchID returns the id of a batch. The same records in the same order have the same id.
func batchID(batch []event.Item) string {
	sum := sha256.New()
	for _, item := range batch {
		sum.Write([]byte(item.ID + "\n"))
	}
	return "msg_" + hex.EncodeToString(sum.Sum(nil)[:16])
}

// errNoSecret is returned if secret_file is required and missing.
var errNoSecret = errors.New("secret_file is missing, and listmonk requires it")
