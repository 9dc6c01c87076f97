package classify

import (
	"fmt"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// A bounce that names no recipient is about the address that the sender wrote to. A recipient
// that it names stays.
func TestAttribute(t *testing.T) {
	const verp = "jo@example.com"
	rcpt := func(addr string, typ Type) Recipient {
		return Recipient{Address: addr, Action: dsn.ActionFailed, Type: typ}
	}
	for name, tt := range map[string]struct {
		give Result
		want []Recipient
	}{
		"named":      {Result{Kind: dsn.KindDSN, Recipients: []Recipient{rcpt("j@forward.example", Hard)}}, []Recipient{rcpt("j@forward.example", Hard)}},
		"one named":  {Result{Kind: dsn.KindDSN, Recipients: []Recipient{rcpt("", Hard), rcpt("a@b.example", Soft)}}, []Recipient{rcpt("", Hard), rcpt("a@b.example", Soft)}},
		"original":   {Result{Kind: dsn.KindDSN, Recipients: []Recipient{{Original: "local"}}}, []Recipient{{Original: "local"}}},
		"unnamed":    {Result{Kind: dsn.KindText, Recipients: []Recipient{rcpt("", Hard)}}, []Recipient{rcpt(verp, Hard)}},
		"two fates":  {Result{Kind: dsn.KindText, Recipients: []Recipient{rcpt("", Hard), rcpt("", Soft)}}, []Recipient{rcpt(verp, Soft), rcpt(verp, Soft)}},
		"nobody":     {Result{Kind: dsn.KindText}, []Recipient{{Address: verp, Action: dsn.ActionFailed, Category: Unclassified, Type: Soft, Reason: "unknown", Provider: "other", Evidence: RungNone}}},
		"no bounce":  {Result{Kind: dsn.KindNone}, nil},
		"auto-reply": {Result{Kind: dsn.KindAutoReply}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			res := tt.give
			res.Attribute(verp)
			if len(res.Recipients) != len(tt.want) {
				t.Fatalf("%+v, want %+v", res.Recipients, tt.want)
			}
			for i := range tt.want {
				if res.Recipients[i] != tt.want[i] {
					t.Errorf("%+v, want %+v", res.Recipients[i], tt.want[i])
				}
			}
			res = tt.give
			if res.Attribute(""); len(res.Recipients) != len(tt.give.Recipients) {
				t.Errorf("without an address: %+v", res.Recipients)
			}
		})
	}
}

// The same is true of complaints: a recipient that they name stays, but one that was only taken
// from the To of the message does not.
func TestAttributeFeedback(t *testing.T) {
	engine, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ fields, to, want, verp string }{
		"named":       {"Original-Rcpt-To: a@isp.example\r\n", "b@isp.example", "[a@isp.example]", "[a@isp.example]"},
		"To":          {"", "b@isp.example", "[b@isp.example]", "[jo@example.com]"},
		"To of two":   {"", "b@isp.example, c@isp.example", "[]", "[jo@example.com]"},
		"redacted":    {"Original-Rcpt-To: redacted@isp.example\r\n", "redacted@isp.example", "[]", "[jo@example.com]"},
		"redacted To": {"Removal-Recipient: a@isp.example\r\n", "redacted@isp.example", "[a@isp.example]", "[a@isp.example]"},
	} {
		t.Run(name, func(t *testing.T) {
			msg := "Return-Path: <>\r\nFrom: fbl@isp.example\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n" +
				"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n" + tt.fields +
				"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nTo: " + tt.to + "\r\nMessage-ID: <m@example.org>\r\n\r\nx\r\n--b--\r\n"
			res := engine.Classify(t.Context(), []byte(msg))
			if res.Feedback == nil || fmt.Sprint(res.Feedback.Recipients) != tt.want || res.ReturnedMessageID != "m@example.org" || len(res.Recipients) > 0 {
				t.Fatalf("%+v of %+v, want %s", res.Feedback, res, tt.want)
			}
			if res.Attribute("jo@example.com"); fmt.Sprint(res.Feedback.Recipients) != tt.verp {
				t.Errorf("with the address that was written to: %v, want %s", res.Feedback.Recipients, tt.verp)
			}
		})
	}
}
