package maillog_test

import (
	"fmt"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/maillog"
)

// A Parser reads lines, and a Judge says what they mean.
func Example() {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	judge := maillog.NewJudge(engine)
	var parser maillog.Parser
	for _, line := range []string{
		`2026-11-27T23:58:01+01:00 mx1 postfix/qmgr[901]: 4cHk2m1Yz9: from=<news@example.org>, size=1234, nrcpt=1 (queue active)`,
		`2026-11-27T23:58:02+01:00 mx1 postfix/smtp[4122]: 4cHk2m1Yz9: to=<bert@example.net>, relay=mx.example.net[192.0.2.26]:25, delay=2.5, delays=0.02/0.01/0.6/1.87, dsn=4.2.2, status=deferred (host mx.example.net[192.0.2.26] said: 452 4.2.2 The mailbox is full (in reply to RCPT TO command))`,
	} {
		for _, e := range parser.Append(nil, []byte(line)) {
			fmt.Println(e.Time, e.QueueID, e.Recipient, e.Result, e.Code, e.Status, e.Reply)
			r := judge.Recipient(&e)
			fmt.Println(r.Category, r.Type, r.Reason)
		}
	}
	// Output:
	// 2026-11-27 23:58:02 +0100 +0100 4cHk2m1Yz9 bert@example.net deferred 452 4.2.2 452 4.2.2 The mailbox is full
	// mailbox-full soft mailbox-full
}
