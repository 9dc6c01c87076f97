package webhook

import (
	"cmp"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/lab/receiver"
)

const (
	subscriberID = "5f8fbd5b-2a3c-4a2e-9a41-0f6f7f8c1d22"
	campaignID   = "9f86b50d-5711-41c8-ab03-bc91c43d711b"
)

// listmonk returns a stand-in, and a sink for it.
func listmonk(t testing.TB, block Block, campaigns ...string) (*receiver.Listmonk, *Sink) {
	t.Helper()
	l := receiver.NewListmonk("bounces", "w3Xk9-token", campaigns...)
	o := DefaultOptions()
	o.Format, o.Block = FormatListmonk, block
	o.URL, o.SecretFile = serve(t, l)+"/webhooks/bounce", secretFile(t, "bounces:w3Xk9-token\n")
	return l, newSink(t, o)
}

// failed returns a record of a bounce.
func failed(kind dsn.Kind, typ classify.Type, change func(*event.Record)) event.Record {
	r := event.Record{ID: "r", Source: event.SourceMilter, Kind: kind, Recipient: classify.Recipient{
		Address: "u@example.com", Action: dsn.ActionFailed, Category: classify.Mailbox, Type: typ, Reason: "mailbox-disabled"}}
	if change != nil {
		change(&r)
	}
	return r
}

// TestListmonkUnproven checks what listmonk gets if the mail is not proved to have gone to
// the address, and that the address that is proved comes first.
func TestListmonkUnproven(t *testing.T) {
	hard := failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Origin = "ours" })
	soft := failed(dsn.KindDSN, classify.Soft, nil)
	abuse := failed(dsn.KindFeedback, "", func(r *event.Record) {
		r.Action, r.Category, r.Reason, r.Feedback = "", "", "", &event.Feedback{Type: "abuse"}
	})
	proved := failed(dsn.KindDSN, classify.Hard, func(r *event.Record) {
		r.VERP, r.Original, r.Whose = "verp@example.org", "victim@example.net", event.Whose{Origin: "ours", Proof: "ticket", WentTo: "alias@example.net"}
	})
	for how, want := range map[Unproven]string{
		UnprovenSend: "hard u@example.com, soft u@example.com, complaint u@example.com, hard alias@example.net",
		UnprovenSoft: "soft u@example.com, soft u@example.com, hard alias@example.net",
		UnprovenSkip: "hard alias@example.net",
	} {
		l, s := listmonk(t, BlockSkip)
		s.unproven = how
		if _, err := s.Send(t.Context(), items(t, hard, soft, abuse, proved)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range l.Bounces() {
			got = append(got, b.Type+" "+b.Email)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q, want %q", how, got, want)
		}
	}
}

// TestListmonk checks which kinds of records listmonk gets, and what it gets of each.
func TestListmonk(t *testing.T) {
	type b = receiver.Bounce
	feedback := func(typ string) func(*event.Record) {
		return func(r *event.Record) {
			r.Action, r.Category, r.Reason = "", "", ""
			r.Feedback = &event.Feedback{Type: typ}
		}
	}
	headers := func(subscriber, campaign string) func(*event.Record) {
		return func(r *event.Record) {
			r.Returned.Headers = map[string]string{"X-Listmonk-Subscriber": subscriber, "x-listmonk-campaign": campaign}
		}
	}
	for name, tt := range map[string]struct {
		give  event.Record
		block Block // "" for BlockSkip
		want  *b
	}{
		"hard":           {failed(dsn.KindDSN, classify.Hard, nil), "", &b{Email: "u@example.com", Type: "hard"}},
		"hard, in words": {failed(dsn.KindText, classify.Hard, nil), "", &b{Email: "u@example.com", Type: "hard"}},
		"hard, of a log": {failed("log", classify.Hard, nil), "", &b{Email: "u@example.com", Type: "hard"}},
		"soft":           {failed(dsn.KindDSN, classify.Soft, nil), "", &b{Email: "u@example.com", Type: "soft"}},
		"block":          {failed(dsn.KindDSN, classify.Block, nil), "", nil},
		"block as soft":  {failed(dsn.KindDSN, classify.Block, nil), BlockSoft, &b{Email: "u@example.com", Type: "soft"}},
		"no type":        {failed(dsn.KindDSN, "", nil), BlockSoft, nil},
		"unknown type":   {failed(dsn.KindDSN, "harder", nil), BlockSoft, nil},

		"delayed":     {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Action = dsn.ActionDelayed }), "", nil},
		"delivered":   {failed(dsn.KindDSN, "", func(r *event.Record) { r.Action = dsn.ActionDelivered }), "", nil},
		"relayed":     {failed(dsn.KindDSN, "", func(r *event.Record) { r.Action = dsn.ActionRelayed }), "", nil},
		"expanded":    {failed(dsn.KindDSN, "", func(r *event.Record) { r.Action = dsn.ActionExpanded }), "", nil},
		"no action":   {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Action = "" }), "", nil},
		"auto-reply":  {failed(dsn.KindAutoReply, classify.Hard, nil), "", nil},
		"disposition": {failed(dsn.KindDisposition, classify.Hard, nil), "", nil},
		"none":        {failed(dsn.KindNone, classify.Hard, nil), "", nil},

		"abuse":        {failed(dsn.KindFeedback, "", feedback("abuse")), "", &b{Email: "u@example.com", Type: "complaint"}},
		"fraud":        {failed(dsn.KindFeedback, "", feedback("fraud")), "", &b{Email: "u@example.com", Type: "complaint"}},
		"not spam":     {failed(dsn.KindFeedback, "", feedback("Not-Spam")), "", nil},
		"no DKIM":      {failed(dsn.KindFeedback, "", feedback("auth-failure")), "", nil},
		"virus":        {failed(dsn.KindFeedback, "", feedback("virus")), "", nil},
		"no type said": {failed(dsn.KindFeedback, "", feedback("")), "", &b{Email: "u@example.com", Type: "complaint"}},

		"ours":     {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Origin = "ours" }), "", &b{Email: "u@example.com", Type: "hard"}},
		"unproven": {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Origin = "unproven" }), "", &b{Email: "u@example.com", Type: "hard"}},
		"foreign":  {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Origin = "foreign" }), BlockSoft, nil},
		"foreign complaint": {failed(dsn.KindFeedback, "", func(r *event.Record) { feedback("abuse")(r); r.Origin = "foreign" }),
			"", nil},

		"VERP first": {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.VERP, r.Original = "verp@example.org", "orig@example.net" }),
			"", &b{Email: "verp@example.org", Type: "hard"}},
		"original next": {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Original = "orig@example.net" }),
			"", &b{Email: "orig@example.net", Type: "hard"}},
		"original is none": {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Original = "orig" }),
			"", &b{Email: "u@example.com", Type: "hard"}},
		"no address":     {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Address = "" }), "", nil},
		"no mailbox":     {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Address = "|/bin/true" }), "", nil},
		"only a domain":  {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Address = "@example.com" }), "", nil},
		"international":  {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Address = "grün@bücher.example" }), "", &b{Email: "grün@bücher.example", Type: "hard"}},
		"quotes and &":   {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) { r.Address = "o'hara&<son>@example.com" }), "", nil},
		"subscriber":     {failed(dsn.KindDSN, classify.Hard, headers(subscriberID, campaignID)), "", &b{SubscriberUUID: subscriberID, Email: "u@example.com", CampaignUUID: campaignID, Type: "hard"}},
		"upper case":     {failed(dsn.KindDSN, classify.Hard, headers(strings.ToUpper(subscriberID), " "+campaignID+" ")), "", &b{SubscriberUUID: subscriberID, Email: "u@example.com", CampaignUUID: campaignID, Type: "hard"}},
		"no UUIDs":       {failed(dsn.KindDSN, classify.Hard, headers("17", campaignID+"0")), "", &b{Email: "u@example.com", Type: "hard"}},
		"a test message": {failed(dsn.KindDSN, classify.Hard, headers(noUUID, noUUID)), "", &b{Email: "u@example.com", Type: "hard"}},
		"subscriber only": {failed(dsn.KindDSN, classify.Soft, func(r *event.Record) { headers(subscriberID, "")(r); r.Address = "" }),
			"", &b{SubscriberUUID: subscriberID, Type: "soft"}},
		"proved, with somebody else's UUID": {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) {
			headers(subscriberID, campaignID)(r)
			r.Origin, r.WentTo = "ours", "went@example.com"
		}), "", &b{Email: "went@example.com", CampaignUUID: campaignID, Type: "hard"}},
		"proved to have gone to what is no mailbox": {failed(dsn.KindDSN, classify.Hard, func(r *event.Record) {
			headers(subscriberID, "")(r)
			r.Origin, r.Original, r.WentTo = "ours", "postmaster", "postmaster"
		}), "", nil},
		"campaign only": {failed(dsn.KindDSN, classify.Soft, func(r *event.Record) { headers("", campaignID)(r); r.Address = "" }), "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			l, s := listmonk(t, cmp.Or(tt.block, BlockSkip))
			sent, err := s.Send(t.Context(), items(t, tt.give))
			if err != nil || sent.Done != 1 || len(sent.Refused) != 0 || (sent.Skipped == 1) != (tt.want == nil) {
				t.Fatalf("Send() = %+v, %v; listmonk says %q", sent, err, l.Problems())
			}
			got := l.Bounces()
			if tt.want == nil {
				if len(got) != 0 || l.Requests() != 0 {
					t.Errorf("listmonk got %+v", got)
				}
				return
			}
			for i := range got {
				got[i].Source, got[i].Meta = "", ""
			}
			if !reflect.DeepEqual(got, []b{*tt.want}) {
				t.Errorf("listmonk got %+v, want %+v", got, *tt.want)
			}
		})
	}
}

// TestListmonkMeta checks the additional information that listmonk shows with a bounce.
func TestListmonkMeta(t *testing.T) {
	l, s := listmonk(t, BlockSkip)
	r := failed(dsn.KindDSN, classify.Hard, func(r *event.Record) {
		r.Diagnostic, r.Status, r.SMTPCode, r.Returned.MessageID = `550 "no" <such> user \ here`, "5.1.1", 550, "x@y"
		r.Feedback = nil
	})
	if _, err := s.Send(t.Context(), items(t, r)); err != nil {
		t.Fatal(err)
	}
	got := l.Bounces()[0]
	if got.Source != "bounce-milter" {
		t.Errorf("source is %q", got.Source)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(got.Meta), &m); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"id": "r", "time": "0001-01-01T00:00:00.000Z", "category": "mailbox", "reason": "mailbox-disabled", "status": "5.1.1",
		"smtp_code": 550.0, "diagnostic": r.Diagnostic, "recipient": "u@example.com", "message_id": "x@y"}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("meta is %v", m)
	}
}

// If listmonk refuses a record, only that one is parked. If it cannot accept a record now,
// those after it wait too.
func TestListmonkOrder(t *testing.T) {
	l, s := listmonk(t, BlockSkip, campaignID)
	var list []event.Record
	for i, campaign := range []string{campaignID, subscriberID, campaignID, campaignID} {
		list = append(list, failed(dsn.KindDSN, classify.Hard, func(r *event.Record) {
			r.Address = string(rune('a'+i)) + "@example.com"
			r.Returned.Headers = map[string]string{"X-Listmonk-Campaign": campaign}
		}))
	}
	list = slices.Insert(list, 1, failed(dsn.KindAutoReply, "", nil))
	l.FailWith(func(n int) receiver.Fault {
		if n == 3 {
			return receiver.Status(http.StatusServiceUnavailable, "")
		}
		return receiver.Fault{}
	})
	sent, err := s.Send(t.Context(), items(t, list...))
	if err == nil || sent.Done != 4 || sent.Skipped != 1 || !slices.Equal(sent.Refused, []int{2}) || !strings.Contains(sent.Why[0].Error(), "unknown campaign") {
		t.Errorf("Send() = %+v, %v", sent, err)
	}
	if sent, err = s.Send(t.Context(), items(t, list[sent.Done:]...)); err != nil || sent.Done != 1 {
		t.Errorf("the rest: %+v, %v", sent, err)
	}
	var emails []string
	for _, b := range l.Bounces() {
		emails = append(emails, b.Email[:1])
	}
	if got := strings.Join(emails, ""); got != "acd" {
		t.Errorf("listmonk got %s", got)
	}
}

// The stand-in refuses what the real listmonk would refuse; otherwise tests with it would
// prove nothing.
func TestListmonkIsStrict(t *testing.T) {
	l := receiver.NewListmonk("bounces", "w3Xk9-token", campaignID)
	url := serve(t, l)
	const good = `{"email":"u@example.com","source":"x","type":"hard"}`
	for name, tt := range map[string]struct {
		path, auth, body string
		want             int
	}{
		"good":          {"/webhooks/bounce", "token bounces:w3Xk9-token", good, 200},
		"Basic":         {"/webhooks/bounce", "Basic Ym91bmNlczp3M1hrOS10b2tlbg==", good, 200},
		"path":          {"/webhooks/bounces", "token bounces:w3Xk9-token", good, 404},
		"no token":      {"/webhooks/bounce", "", good, 403},
		"another token": {"/webhooks/bounce", "token bounces:no", good, 403},
		"array":         {"/webhooks/bounce", "token bounces:w3Xk9-token", "[" + good + "]", 400},
		"block":         {"/webhooks/bounce", "token bounces:w3Xk9-token", strings.Replace(good, "hard", "block", 1), 400},
		"two":           {"/webhooks/bounce", "token bounces:w3Xk9-token", good + good, 400},
		"other field":   {"/webhooks/bounce", "token bounces:w3Xk9-token", strings.Replace(good, "{", `{"v":1,`, 1), 400},
		"meta object":   {"/webhooks/bounce", "token bounces:w3Xk9-token", strings.Replace(good, "{", `{"meta":{},`, 1), 400},
		"campaign":      {"/webhooks/bounce", "token bounces:w3Xk9-token", strings.Replace(good, "{", `{"campaign_uuid":"`+subscriberID+`",`, 1), 400},
		"nobody":        {"/webhooks/bounce", "token bounces:w3Xk9-token", `{"source":"x","type":"hard"}`, 400},
	} {
		req, err := http.NewRequest(http.MethodPost, url+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", tt.auth)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, tt.want)
		}
	}
}
