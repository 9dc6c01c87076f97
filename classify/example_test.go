package classify_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/mailbox"
	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// report is a bounce as a mail server sends it to whoever sent the mail.
var report = []byte(`Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@relay.example.net>
To: ada@example.org
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
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
Status: 5.2.2
Remote-MTA: dns; mx.example.com
Diagnostic-Code: smtp; 552 5.2.2 The mailbox of jo is over its quota

--b1
Content-Type: message/rfc822

From: Ada <ada@example.org>
To: jo@example.com
Subject: Timetable
Message-ID: <1@example.org>

--b1--
`)

// An engine reads a message and names what became of it for each recipient.
func Example() {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		log.Fatal(err)
	}
	result := engine.Classify(context.Background(), report)
	fmt.Println(result.Kind, result.ReturnedMessageID)
	for _, r := range result.Recipients {
		fmt.Println(r.Address, r.Category, r.Type, r.Reason)
		if r.Type == classify.Hard {
			fmt.Println("stop mailing", r.Address)
		}
	}
	// Output:
	// dsn 1@example.org
	// jo@example.com mailbox-full soft mailbox-full
}

// A bare reply, as a mail client or a log has it, is judged without a message. What
// is known beside it makes the verdict better.
func ExampleEngine_ClassifyReply() {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, ev := range []classify.Evidence{
		{Reply: "550 5.1.1 <jo@example.com>: Recipient address rejected: User unknown in virtual mailbox table"},
		{Reply: "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", RemoteMTA: "mx.example.com"},
		{SMTPCode: 552, Status: reply.ParseStatus("5.2.2"), Action: dsn.ActionFailed}, // no words at all
	} {
		r := engine.ClassifyReply(&ev)
		fmt.Printf("%s %s %s by %s\n", r.Category, r.Type, r.Reason, r.Evidence)
	}
	// Output:
	// invalid-address hard unknown-recipient by text
	// sender-reputation block blocklisted by text
	// mailbox-full soft mailbox-full by code
}

// An explanation says what happened and which evidence decided; Why, Matches and Advice
// say more of both.
func ExampleEngine_Explain() {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		log.Fatal(err)
	}
	x := engine.Explain(&classify.Evidence{Reply: "552 5.2.2 The mailbox of jo is over its quota"})
	fmt.Println(x.Meaning)
	for _, step := range x.Ladder {
		if step.Category != "" {
			fmt.Println(step.Rung, step.Category, step.Won)
		}
	}
	// Output:
	// The recipient's mailbox is over its quota.
	// text mailbox-full true
	// code mailbox-full false
	// status mailbox-full false
	// smtp mailbox false
}

// ExplainMessage explains the verdict on each recipient of a message.
func ExampleEngine_ExplainMessage() {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		log.Fatal(err)
	}
	result, explanations := engine.ExplainMessage(context.Background(), report)
	for i, x := range explanations {
		if x != nil { // nil where the mail arrived
			fmt.Printf("%s: %s\n", result.Recipients[i].Address, x.Meaning)
		}
	}
	// Output:
	// jo@example.com: The recipient's mailbox is over its quota.
}

// Rules of one's own stand in files *.toml of a folder, and decide before the
// built-in ones. Each has an example, which New holds it to.
func ExampleNew_rulesDir() {
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	err = os.WriteFile(filepath.Join(dir, "mine.toml"), []byte(`
[[rule]]
id = "warehouse-closed"
reason = "inactive-mailbox"
type = "hard"
any = ["the warehouse takes no more mail"]
examples = ["550 The warehouse takes no more mail for this desk"]
`), 0o600)
	if err != nil {
		log.Fatal(err)
	}
	engine, err := classify.New(classify.Options{RulesDir: dir})
	if err != nil {
		log.Fatal(err)
	}
	r := engine.ClassifyReply(&classify.Evidence{Reply: "550 Sorry, the warehouse takes no more mail."})
	fmt.Println(r.Category, r.Type, r.Reason)
	fmt.Println(r.Evidence, r.Rule)
	// Output:
	// invalid-address hard inactive-mailbox
	// admin warehouse-closed
}

// What is wrong with rules is told all at once, each with its place and the mend.
func ExampleProblems() {
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	err = os.WriteFile(filepath.Join(dir, "mine.toml"), []byte(`
[[rule]]
id = "warehouse-closed"
reason = "mailbox-ful"
any = ["the warehouse takes no more mail"]
examples = ["550 The warehouse takes no more mail for this desk"]
`), 0o600)
	if err != nil {
		log.Fatal(err)
	}
	_, err = classify.New(classify.Options{RulesDir: dir})
	var problems classify.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			fmt.Printf("%s, line %d: %s\n", filepath.Base(p.File), p.Line, p.Message)
		}
	}
	// Output:
	// mine.toml, line 4: unknown reason "mailbox-ful": did you mean "mailbox-full"?
}

// Package mailbox hands out the messages of files, mboxes and Maildirs; one engine
// serves any number of goroutines.
func ExampleEngine_Classify_mailbox() {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		log.Fatal(err)
	}
	mbox := "From MAILER-DAEMON Thu Sep  3 08:15:03 2026\n" + string(report) +
		"\nFrom jo@example.com Thu Sep  3 08:16:00 2026\nReturn-Path: <jo@example.com>\nFrom: jo@example.com\nSubject: Lunch\n\nAt noon?\n"
	src := mailbox.Source{Stdin: strings.NewReader(mbox)}
	for m := range src.Messages(mailbox.Stdin) {
		if m.Err != nil {
			log.Println(m.Name, m.Err)
			continue
		}
		result := engine.Classify(context.Background(), m.Raw)
		fmt.Println(m.Name, result.Kind, len(result.Recipients))
	}
	// Output:
	// -#1 dsn 1
	// -#2 none 0
}
