package milter

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/internal/proof"
)

func TestTagFields(t *testing.T) {
	full := classify.Recipient{Address: "u@example.com", Action: dsn.ActionFailed, Category: classify.MailboxFull, Type: classify.Soft,
		Reason: "mailbox-full", Status: "5.2.2", SMTPCode: 552, Provider: "google", Rule: "google-over-quota",
		RemoteMTA: "gmail-smtp-in.l.google.com"}
	hard := full
	hard.Address, hard.Category, hard.Type, hard.Reason, hard.RemoteMTA = "gone@example.com", classify.InvalidAddress, classify.Hard, "unknown-recipient", ""
	hard.Rule, hard.SMTPCode, hard.Status, hard.Provider = "550 5.1.1", 550, "5.1.1", "other"
	delayed := hard
	delayed.Action, delayed.Type = dsn.ActionDelayed, classify.Soft
	delivered := classify.Recipient{Address: "ok@example.com", Action: dsn.ActionDelivered, Status: "2.0.0"}
	hostile := full
	hostile.Address, hostile.RemoteMTA = `"u; type=hard"@example.com`, "mx.example.com; type=hard"
	bare := classify.Recipient{Action: dsn.ActionFailed, Category: classify.Unclassified, Type: classify.Soft, Reason: "unknown", Provider: "other"}

	complaint := func(rcpts ...string) classify.Result {
		return classify.Result{Kind: dsn.KindFeedback, Feedback: &dsn.Feedback{Type: dsn.FeedbackAbuse, SourceIP: "192.0.2.7", Recipients: rcpts}}
	}
	unspecified := complaint("u@example.com")
	unspecified.Feedback.SourceIP, unspecified.Feedback.Type = "2001:db8::7", dsn.FeedbackNotSpam
	withVERP := map[string]string{"to VERP": "u+x@example.org", "to VERP with a sign": "a=b@example.org", "complaint, VERP": "u@example.org"}

	tests := []struct {
		name string
		res  classify.Result
		want string
	}{
		{"to VERP", classify.Result{Kind: dsn.KindDSN, Recipients: []classify.Recipient{delivered}}, `
X-Bounce-Action: delivered
X-Bounce-Result: ok@example.com; action=delivered; status=2.0.0;
	verp=u+x@example.org
`},
		{"to VERP with a sign", classify.Result{Kind: dsn.KindDSN, Recipients: []classify.Recipient{delivered}}, `
X-Bounce-Action: delivered
X-Bounce-Result: ok@example.com; action=delivered; status=2.0.0;
	verp="a\=b@example.org"
`},
		{"complaint, as in the contract", complaint("u@example.com"), `
X-Bounce-Kind: feedback
X-Bounce-Result: u@example.com; feedback-type=abuse; source-ip=192.0.2.7
`},
		{"complaint about two", complaint("u@example.com", "type=hard@example.com"), `
X-Bounce-Kind: feedback
X-Bounce-Result: u@example.com; feedback-type=abuse; source-ip=192.0.2.7
X-Bounce-Result: "type\=hard@example.com"; feedback-type=abuse; source-ip=192.0.2.7
`},
		{"complaint, VERP", complaint("u@example.com"), `
X-Bounce-Kind: feedback
X-Bounce-Result: u@example.com; feedback-type=abuse; source-ip=192.0.2.7;
	verp=u@example.org
`},
		{"complaint about nobody", complaint(), "\nX-Bounce-Kind: feedback\n"},
		{"no complaint", unspecified, `
X-Bounce-Kind: feedback
X-Bounce-Result: u@example.com; feedback-type=not-spam; source-ip=2001:db8::7
`},
		{"one recipient, as in the contract", classify.Result{Kind: dsn.KindDSN, Recipients: []classify.Recipient{full}}, `
X-Bounce-Category: mailbox-full
X-Bounce-Type: soft
X-Bounce-Reason: mailbox-full
X-Bounce-Action: failed
X-Bounce-Result: u@example.com; category=mailbox-full; type=soft; reason=mailbox-full;
	action=failed; status=5.2.2; smtp-code=552; provider=google; rule=google-over-quota;
	remote-mta=gmail-smtp-in.l.google.com
`},
		{"the hard one speaks for the message", classify.Result{Kind: dsn.KindText, Recipients: []classify.Recipient{delivered, delayed, full, hard}}, `
X-Bounce-Category: invalid-address
X-Bounce-Type: hard
X-Bounce-Reason: unknown-recipient
X-Bounce-Action: failed
X-Bounce-Result: ok@example.com; action=delivered; status=2.0.0
X-Bounce-Result: gone@example.com; category=invalid-address; type=soft; reason=unknown-recipient;
	action=delayed; status=5.1.1; smtp-code=550; provider=other; rule=550 5.1.1
X-Bounce-Result: u@example.com; category=mailbox-full; type=soft; reason=mailbox-full;
	action=failed; status=5.2.2; smtp-code=552; provider=google; rule=google-over-quota;
	remote-mta=gmail-smtp-in.l.google.com
X-Bounce-Result: gone@example.com; category=invalid-address; type=hard; reason=unknown-recipient;
	action=failed; status=5.1.1; smtp-code=550; provider=other; rule=550 5.1.1
`},
		{"what a stranger wrote is quoted", classify.Result{Kind: dsn.KindDSN, Recipients: []classify.Recipient{hostile}}, `
X-Bounce-Category: mailbox-full
X-Bounce-Type: soft
X-Bounce-Reason: mailbox-full
X-Bounce-Action: failed
X-Bounce-Result: "\"u\x{3B} type\=hard\"@example.com"; category=mailbox-full; type=soft; reason=mailbox-full;
	action=failed; status=5.2.2; smtp-code=552; provider=google; rule=google-over-quota;
	remote-mta="mx.example.com\x{3B} type\=hard"
`},
		{"success", classify.Result{Kind: dsn.KindDSN, Recipients: []classify.Recipient{delivered}}, `
X-Bounce-Action: delivered
X-Bounce-Result: ok@example.com; action=delivered; status=2.0.0
`},
		{"next to nothing known", classify.Result{Kind: dsn.KindDSN, Recipients: []classify.Recipient{bare}}, `
X-Bounce-Category: unclassified
X-Bounce-Type: soft
X-Bounce-Reason: unknown
X-Bounce-Action: failed
X-Bounce-Result: unknown; category=unclassified; type=soft; reason=unknown;
	action=failed; provider=other
`},
		{"no recipient that could be read", classify.Result{Kind: dsn.KindDSN}, `
X-Bounce-Category: unclassified
X-Bounce-Type: soft
X-Bounce-Reason: unknown
`},
		{"feedback", classify.Result{Kind: dsn.KindFeedback}, "\nX-Bounce-Kind: feedback\n"},
		{"receipt", classify.Result{Kind: dsn.KindDisposition}, "\nX-Bounce-Kind: disposition\n"},
		{"automatic reply", classify.Result{Kind: dsn.KindAutoReply}, "\nX-Bounce-Kind: auto-reply\n"},
		{"ordinary", classify.Result{Kind: dsn.KindNone}, "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := "\n"
			for _, f := range tagFields("X-Bounce-", &tt.res, withVERP[tt.name], nil, false) {
				got += f.name + ": " + f.value + "\n"
			}
			if got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestManyRecipients(t *testing.T) {
	var rcpts []string
	for i := range 60 {
		rcpts = append(rcpts, fmt.Sprintf("u%d@example.com", i))
	}
	for n, want := range map[int]string{49: "", 50: "", 51: "1 more", 60: "10 more"} {
		res := bounce(rcpts[:n]...)
		fields := tagFields("X-Bounce-", &res, "", nil, false)
		last := fields[len(fields)-1].value
		if want == "" {
			if len(fields) != 4+n || !strings.HasPrefix(last, rcpts[n-1]) {
				t.Errorf("%d recipients: %d fields, last %q", n, len(fields), last)
			}
		} else if len(fields) != 4+50+1 || last != want {
			t.Errorf("%d recipients: %d fields, last %q, want %q", n, len(fields), last, want)
		}
	}
	res := bounce(rcpts...)
	res.Dropped = 900
	if fields := tagFields("X-Bounce-", &res, "", nil, false); fields[len(fields)-1].value != "910 more" {
		t.Errorf("dropped recipients: %q", fields[len(fields)-1].value)
	}
}

// A report that may name somebody to whom the message is not proved to have gone always
// has a header that says so: recipes go by that.
func TestMoreThanShown(t *testing.T) {
	whose := func(bound bool, each ...bool) *proof.Report {
		r := &proof.Report{Message: proof.Finding{Origin: origin.Ours, Proof: origin.ProofTicket, Bound: true}, Bound: bound}
		for _, b := range each {
			r.Each = append(r.Each, proof.Finding{Origin: origin.Ours, Proof: origin.ProofTicket, Bound: b, WentTo: "u@example.com"})
		}
		return r
	}
	many := slices.Repeat([]bool{true}, 50)
	for name, tt := range map[string]struct {
		whose *proof.Report
		last  string
	}{
		"all are bound":                 {whose(true, true, true), "bound=yes;\n\twent-to=u@example.com"},
		"the second is not":             {whose(false, true, false), "bound=no;\n\twent-to=u@example.com"},
		"only a part was read":          {whose(false, true, true), "perhaps more; bound=no"},
		"more than are shown":           {whose(true, append(many, true)...), "1 more"},
		"one of the more is not bound":  {whose(false, append(many, true, false)...), "2 more; bound=no"},
		"one that is shown says it too": {whose(false, append([]bool{false}, many...)...), "1 more"},
	} {
		rcpts := make([]string, len(tt.whose.Each))
		for i := range rcpts {
			rcpts[i] = fmt.Sprintf("u%d@example.com", i)
		}
		res := bounce(rcpts...)
		fields := tagFields("X-Bounce-", &res, "", tt.whose, false)
		if last := fields[len(fields)-1]; last.name != "X-Bounce-Result" || !strings.HasSuffix(last.value, tt.last) {
			t.Errorf("%s: the last is %s: %q, want %q", name, last.name, last.value, tt.last)
		}
	}
}
