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
	// goodSecret is how many octets Standard Webhooks asks of a secret.
	goodSecret = 24
	// maxSecrets is how many a file may hold: old and new while they change.
	maxSecrets = 8
)

// readSecrets reads the secrets of a file: signing keys, one a line, or the one
// user:token of listmonk. Errors say nothing of what is in it.
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
				return nil, fmt.Errorf("secret %d of %s begins with %s and is no base64 behind it: copy it whole", len(secrets)+1, path, secretPrefix)
			}
		}
		secrets = append(secrets, key)
	}
	switch {
	case len(secrets) > maxSecrets:
		return nil, fmt.Errorf("the file %s holds %d secrets: leave %d at most, those that receivers still know", path, len(secrets), maxSecrets)
	case format == FormatListmonk && len(secrets) > 1:
		return nil, fmt.Errorf("the file %s has %d lines: write one, user:token", path, len(secrets))
	case format == FormatListmonk:
		user, token, ok := strings.Cut(string(secrets[0]), ":")
		if !ok || user == "" || token == "" {
			return nil, fmt.Errorf(`the file %s does not hold user:token: write the name of a user of listmonk's API, ":" and that user's token`, path)
		}
		if bytes.ContainsFunc(secrets[0], func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("the file %s holds a space or another character that no header may have: write user:token", path)
		}
	}
	return secrets, nil
}

// sign sets the headers of Standard Webhooks, one signature a secret. Without secrets
// the request says its id alone.
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

// batchID names a batch: the same records in the same order have the same name.
func batchID(batch []event.Item) string {
	sum := sha256.New()
	for _, item := range batch {
		sum.Write([]byte(item.ID + "\n"))
	}
	return "msg_" + hex.EncodeToString(sum.Sum(nil)[:16])
}

// errNoSecret is a secret that was needed and not named.
var errNoSecret = errors.New("no secret_file is named, which listmonk needs")
