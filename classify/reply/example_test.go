package reply_test

import (
	"fmt"

	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// Parse finds the codes of a reply wherever a server, a log or a notice put them.
func ExampleParse() {
	for _, s := range []string{
		"550 5.1.1 No such user here",
		"550-5.7.26 This mail is\n550-5.7.26 not\n550 5.7.26 authenticated",
		"host mx.example.com[192.0.2.1] said: 452 4.2.2 Mailbox full (in reply to RCPT TO command)",
		"Sorry, no mailbox here by that name. (#5.1.1)",
		"connection timed out",
	} {
		r := reply.Parse(s)
		fmt.Printf("%d %q %s\n", r.Code, r.Status, r.Text)
	}
	// Output:
	// 550 "5.1.1" 550 5.1.1 No such user here
	// 550 "5.7.26" 550-5.7.26 This mail is not authenticated
	// 452 "4.2.2" host mx.example.com[192.0.2.1] said: 452 4.2.2 Mailbox full (in reply to RCPT TO command)
	// 0 "5.1.1" Sorry, no mailbox here by that name. (#5.1.1)
	// 0 "" connection timed out
}

// A Status compares with ==, and marshals as it is written.
func ExampleStatus() {
	s := reply.ParseStatus("5.2.2")
	fmt.Println(s, s.Class, s.Subject, s.Detail, s.Generic())
	fmt.Println(s == reply.Status{Class: 5, Subject: 2, Detail: 2})
	fmt.Println(reply.ParseStatus("5.0.0").Generic(), s.TellsMore(reply.ParseStatus("5.2.0")))
	fmt.Println(reply.ParseStatus("12.5.2026") == reply.Status{}) // no code
	// Output:
	// 5.2.2 5 2 2 false
	// true
	// true true
	// true
}

// FindStatus reads what a Status field holds, comment and all (RFC 3464 section 2.3.4).
func ExampleFindStatus() {
	fmt.Println(reply.FindStatus("5.1.1 (bad destination mailbox address)"))
	// Output:
	// 5.1.1
}

// LeadingCode finds the code that a line of an SMTP dialogue begins with. A range or a
// longer number is none.
func ExampleLeadingCode() {
	fmt.Println(reply.LeadingCode("550-5.1.1 unknown"), reply.LeadingCode("550-599 are taken"), reply.LeadingCode("5505"))
	// Output:
	// 550 0 0
}
