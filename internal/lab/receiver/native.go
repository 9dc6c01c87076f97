package receiver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Native accepts arrays of records that are signed with a secret that it knows.
type Native struct {
	desk
	hooks  []*standardwebhooks.Webhook
	refuse func(record json.RawMessage) bool

	ids     []string // of records in the order in which they came first
	records map[string]taken
	bodies  map[string][]byte // by webhook-id
}

type taken struct {
	record json.RawMessage
	times  int
}

var _ http.Handler = (*Native)(nil)

// NewNative returns a receiver with these secrets, each written as in a file of secrets.
// Without secrets it accepts unsigned requests.
func NewNative(secrets ...string) (*Native, error) {
	n := &Native{records: map[string]taken{}, bodies: map[string][]byte{}}
	for i, s := range secrets {
		hook, err := standardwebhooks.NewWebhookRaw([]byte(s))
		if strings.HasPrefix(s, "whsec_") {
			hook, err = standardwebhooks.NewWebhook(s)
		}
		if err != nil {
			return nil, fmt.Errorf("reading secret %d: %w", i+1, err)
		}
		n.hooks = append(n.hooks, hook)
	}
	return n, nil
}

// Refuse sets for which records the receiver answers 422 to the whole request.
func (n *Native) Refuse(refuse func(record json.RawMessage) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refuse = refuse
}

// IDs returns the ids of the records, in the order in which they first arrived.
func (n *Native) IDs() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.ids...)
}

// Times returns how often a record arrived.
func (n *Native) Times(id string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.records[id].times
}

// Record returns the record with an id as it first arrived, nil if there is none.
func (n *Native) Record(id string) json.RawMessage {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.records[id].record
}

func (n *Native) ServeHTTP(w http.ResponseWriter, r *http.Request) { n.serve(w, r, n.take) }

func (n *Native) take(r *http.Request, body []byte) (code int, message string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	wrong := func(code int, format string, args ...any) (int, string) {
		s := fmt.Sprintf(format, args...)
		n.problems = append(n.problems, s)
		return code, s
	}
	id := r.Header.Get("webhook-id")
	switch {
	case r.Method != http.MethodPost:
		return wrong(http.StatusMethodNotAllowed, "method %s", r.Method)
	case r.Header.Get("Content-Type") != "application/json":
		return wrong(http.StatusUnsupportedMediaType, "content type %q", r.Header.Get("Content-Type"))
	case !strings.HasPrefix(r.UserAgent(), "bounce-milter/"):
		return wrong(http.StatusBadRequest, "user agent %q", r.UserAgent())
	case id == "":
		return wrong(http.StatusBadRequest, "no webhook-id")
	case !n.signed(r, body):
		return wrong(http.StatusUnauthorized, "a signature that does not fit")
	}
	if before, ok := n.bodies[id]; ok && !bytes.Equal(before, body) {
		return wrong(http.StatusBadRequest, "two requests named %s", id)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil || len(list) == 0 {
		return wrong(http.StatusBadRequest, "no array of records: %v", err)
	}
	ids := make([]string, len(list))
	for i, record := range list {
		var head struct {
			V  int    `json:"v"`
			ID string `json:"id"`
		}
		if err := json.Unmarshal(record, &head); err != nil || head.V != 1 || head.ID == "" {
			return wrong(http.StatusBadRequest, "no record of version 1 with an id: %v", err)
		}
		ids[i] = head.ID
		if n.refuse != nil && n.refuse(record) {
			return http.StatusUnprocessableEntity, "a record that is not liked"
		}
	}
	n.bodies[id] = body
	for i, record := range list {
		t, known := n.records[ids[i]]
		if !known {
			t.record = record
			n.ids = append(n.ids, ids[i])
		} else if !bytes.Equal(t.record, record) {
			return wrong(http.StatusBadRequest, "two records named %s", ids[i])
		}
		t.times++
		n.records[ids[i]] = t
	}
	n.desk.taken()
	return http.StatusOK, ""
}

// signed reports whether the signature was made with one of the secrets.
func (n *Native) signed(r *http.Request, body []byte) bool {
	for _, h := range n.hooks {
		if h.Verify(body, r.Header) == nil {
			return true
		}
	}
	return len(n.hooks) == 0
}
