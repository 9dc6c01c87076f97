package reply_test

import (
	"fmt"

	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// A reply of many lines repeats its codes; Postfix joins the lines and wraps the
// reply into words of its own.
func ExampleParse() {
	r := reply.Parse("host mx.example.com[192.0.2.1] said: 552-5.2.2 The mailbox is full, 552 5.2.2 try again later")
	fmt.Println(r.Code, r.Status)
	fmt.Println(r.Text)
	// Output:
	// 552 5.2.2
	// host mx.example.com[192.0.2.1] said: 552-5.2.2 The mailbox is full, try again later
}

// What a remote server passes on holds the reply that says most.
func ExampleParse_wrapped() {
	r := reply.Parse("550 5.0.350 Remote server returned an error -> 552 5.2.2 <u@example.com>: over quota")
	fmt.Println(r.Code, r.Status)
	// Output: 552 5.2.2
}

func ExampleParseStatus() {
	s := reply.ParseStatus("5.7.26")
	fmt.Println(s.Class, s.Subject, s.Detail, s.Generic())
	fmt.Println(reply.ParseStatus("5.07.26") == reply.Status{})
	// Output:
	// 5 7 26 false
	// true
}

func ExampleStatus_TellsMore() {
	field, said := reply.ParseStatus("5.0.0"), reply.ParseStatus("5.1.1")
	fmt.Println(said.TellsMore(field))
	// Output: true
}

func ExampleLeadingCode() {
	for _, s := range []string{"550<u@example.com> is unknown", "550-1234567 is the number to call", "User unknown"} {
		fmt.Println(reply.LeadingCode(s))
	}
	// Output:
	// 550
	// 0
	// 0
}

func ExamplePlain() {
	for _, r := range "«５５０：»" {
		fmt.Printf("%c", reply.Plain(r))
	}
	fmt.Println()
	// Output: "550:"
}
