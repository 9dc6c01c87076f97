package receiver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/mail"
	"regexp"
	"slices"
	"strings"
)

// Bounce is the body of listmonk's POST /webhooks/bounce
// (https://listmonk.app/docs/bounces/#webhook-api).
type Bounce struct {
	SubscriberUUID string `json:"subscriber_uuid"`
	Email          string `json:"email"`
	CampaignUUID   string `json:"campaign_uuid"`
	Source         string `json:"source"`
	Type           string `json:"type"`
	Meta           string `json:"meta"` // JSON in a string
}

// Listmonk accepts bounces as strictly as listmonk's documentation describes: one object per
// request, only with the fields that it lists, and only from a user of its API. Other than
// the real one, it answers 400 if it does not know a campaign.
type Listmonk struct {
	desk
	user, token string
	campaigns   []string
	bounces     []Bounce
}

var _ http.Handler = (*Listmonk)(nil)

// NewListmonk returns a listmonk that has a user of its API with a token. Without campaigns
// it accepts all campaigns.
func NewListmonk(user, token string, campaigns ...string) *Listmonk {
	return &Listmonk{user: user, token: token, campaigns: campaigns}
}

// Bounces returns the accepted bounces in order.
func (l *Listmonk) Bounces() []Bounce {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.bounces)
}

func (l *Listmonk) ServeHTTP(w http.ResponseWriter, r *http.Request) { l.serve(w, r, l.take) }

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func (l *Listmonk) take(r *http.Request, body []byte) (code int, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wrong := func(code int, format string, args ...any) (int, string) {
		s := fmt.Sprintf(format, args...)
		l.problems = append(l.problems, s)
		return code, s
	}
	switch {
	case r.URL.Path != "/webhooks/bounce":
		return wrong(http.StatusNotFound, "path %s", r.URL.Path)
	case r.Method != http.MethodPost:
		return wrong(http.StatusMethodNotAllowed, "method %s", r.Method)
	case !l.authenticated(r):
		return wrong(http.StatusForbidden, "invalid API credentials")
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		return wrong(http.StatusUnsupportedMediaType, "content type %q", r.Header.Get("Content-Type"))
	}
	var b Bounce
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return wrong(http.StatusBadRequest, "invalid data: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return wrong(http.StatusBadRequest, "invalid data: more than one object")
	}
	switch {
	case b.Email == "" && b.SubscriberUUID == "":
		return wrong(http.StatusBadRequest, "neither email nor subscriber_uuid")
	case b.SubscriberUUID != "" && !uuidForm.MatchString(b.SubscriberUUID):
		return wrong(http.StatusBadRequest, "invalid subscriber_uuid")
	case b.CampaignUUID != "" && !uuidForm.MatchString(b.CampaignUUID):
		return wrong(http.StatusBadRequest, "invalid campaign_uuid")
	case b.Source == "":
		return wrong(http.StatusBadRequest, "no source")
	case b.Type != "hard" && b.Type != "soft" && b.Type != "complaint":
		return wrong(http.StatusBadRequest, "invalid type %q", b.Type)
	case b.Meta != "" && !json.Valid([]byte(b.Meta)):
		return wrong(http.StatusBadRequest, "meta is no JSON")
	}
	if b.Email != "" {
		if a, err := mail.ParseAddress(b.Email); err != nil || a.Name != "" || a.Address != b.Email {
			return wrong(http.StatusBadRequest, "invalid email")
		}
	}
	if b.CampaignUUID != "" && l.campaigns != nil && !slices.Contains(l.campaigns, b.CampaignUUID) {
		return http.StatusBadRequest, "unknown campaign"
	}
	l.bounces = append(l.bounces, b)
	l.desk.taken()
	return http.StatusOK, ""
}

// authenticated accepts both forms in the documentation.
func (l *Listmonk) authenticated(r *http.Request) bool {
	if user, token, ok := r.BasicAuth(); ok {
		return user == l.user && token == l.token
	}
	return r.Header.Get("Authorization") == "token "+l.user+":"+l.token
}
