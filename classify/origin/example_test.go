package origin_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/origin"
)

// A message goes out with a ticket, and comes back in a bounce.
func Example() {
	keys, err := origin.ParseKeys([]byte(origin.GenerateKey(time.Now())))
	if err != nil {
		log.Fatal(err)
	}
	judge, err := origin.New(origin.Options{Domains: []string{"example.org"}, Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	ticket := keys.Sign(&origin.Mail{
		Sender: "news@example.org", MessageID: "<1@example.org>", From: "News <news@example.org>",
		Recipients: []string{"u@example.com"},
	}, time.Now(), 0)

	report := dsn.Reader{}.WithSource().Read(context.Background(), []byte(bounce(ticket)), dsn.Limits{})
	m := &origin.Message{To: []string{"news@example.org"}}
	if s := report.Returned.Source; s != nil {
		m.Header, m.Cut, m.Body, m.WholeBody = s.Header, s.Cut, s.Body, s.Whole
	}
	found := judge.Examine(context.Background(), m, time.Now())
	for _, r := range report.Recipients {
		res := found.Of(origin.Recipient{Final: r.Address, Original: r.Original})
		fmt.Println(r.Address, res.Origin, res.Proof, res.Bound)
		fmt.Println(res.Why)
	}
	// Output:
	// u@example.com ours ticket true
	// its ticket is ours and names the recipient, and the bounce came back to its envelope sender
	// victim@example.com unproven  false
	// its ticket is ours, but the message went to other recipients
}

func bounce(ticket string) string {
	return `From: MAILER-DAEMON@mx.example.com
To: news@example.org
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

Your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; u@example.com
Action: failed
Status: 5.1.1

Final-Recipient: rfc822; victim@example.com
Action: failed
Status: 5.1.1

--b
Content-Type: message/rfc822

X-Bounce-Ticket: ` + ticket + `
From: News <news@example.org>
To: u@example.com
Message-ID: <1@example.org>

Hello
--b--
`
}
