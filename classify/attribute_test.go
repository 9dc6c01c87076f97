package classify

import (
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// A bounce that names nobody is about whom the sender wrote to; what it names stays.
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
