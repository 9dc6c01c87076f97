package dsn_test

import (
	"context"
	"fmt"
	"net/mail"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

const report = `Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@relay.example.net>
To: ada@example.org
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain

Your message could not be delivered to one or more recipients.

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example.net

Final-Recipient: rfc822; jo@example.com
Action: failed
Status: 5.0.0
Remote-MTA: dns; mx.example.com
Diagnostic-Code: smtp; 552-5.2.2 The mailbox
 552 5.2.2 is full

--b1
Content-Type: text/rfc822-headers

From: Ada <ada@example.org>
To: jo@example.com
Message-ID: <1@example.org>

--b1--
`

// Read tells what a report says, and judges none of it.
func ExampleRead() {
	rep := dsn.Read(context.Background(), []byte(report), dsn.Limits{})
	fmt.Println(rep.Kind, "by", rep.ReportingMTA, "about", rep.Returned.MessageID)
	for _, r := range rep.Recipients {
		fmt.Println(r.Address, r.Action, r.SMTPCode, r.Status, "where the field says", r.StatusField)
		fmt.Println(r.RemoteMTA, "said:", r.Diagnostic)
	}
	// Output:
	// dsn by relay.example.net about 1@example.org
	// jo@example.com failed 552 5.2.2 where the field says 5.0.0
	// mx.example.com said: 552-5.2.2 The mailbox is full
}

// A server that reads mail from strangers bounds what one message may cost. Fields
// that are zero have their defaults.
func ExampleLimits() {
	rep := dsn.Read(context.Background(), []byte(report), dsn.Limits{Octets: 300, Recipients: 10})
	fmt.Println(rep.Truncated, len(rep.Recipients))
	fmt.Println(dsn.DefaultLimits().Recipients)
	// Output:
	// true 1
	// 1000
}

// The gate tells by the header whether a message is worth reading: a milter needs no
// body of ordinary mail.
func ExampleGate() {
	for _, raw := range []string{
		report,
		"Return-Path: <jo@example.com>\nFrom: jo@example.com\nTo: ada@example.org\nSubject: Lunch\n\nAt noon?\n",
	} {
		m, err := mail.ReadMessage(strings.NewReader(raw))
		if err != nil {
			fmt.Println(err)
			return
		}
		var gate dsn.Gate
		gate.Field([]byte("Return-Path"), []byte(m.Header.Get("Return-Path"))) // first
		for name, values := range m.Header {
			if name == "Return-Path" {
				continue
			}
			for _, v := range values {
				gate.Field([]byte(name), []byte(v))
			}
		}
		fmt.Println(m.Header.Get("Subject"), gate.Open())
	}
	// Output:
	// Undelivered Mail Returned to Sender true
	// Lunch false
}
