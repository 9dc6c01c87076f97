package cost

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A place writes a message of about size octets. fill makes text of so many octets; each
// is how many octets one of many fields gets.
type place func(b *strings.Builder, size, each int, fill func(octets int) string)

// Places lists the names of all places, in order.
var Places = slices.Sorted(maps.Keys(places))

const (
	bounceHead = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nTo: ada@sender.example\nSubject: Undelivered Mail Returned to Sender\n"
	reportHead = "MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n"
	failed     = "\nThe following addresses had permanent fatal errors:\n"
)

var places = map[string]place{
	"reply of each recipient": report(func(i int, text string) string {
		return fmt.Sprintf("Final-Recipient: rfc822; u%d@example.com\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 %s\n\n", i, field(text))
	}),
	"reply of each recipient, wrapped": report(func(i int, text string) string {
		return fmt.Sprintf("Final-Recipient: rfc822; u%d@example.com\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; host mx.example.com said: \xe2\x80\x9c550 %s\n\n", i, field(text))
	}),
	"address of each recipient": report(func(_ int, text string) string {
		return "Final-Recipient: rfc822; " + field(text) + "\nOriginal-Recipient: rfc822; " + field(text) + "\n\n"
	}),
	"status and host of each recipient": report(func(i int, text string) string {
		return fmt.Sprintf("Final-Recipient: rfc822; u%d@example.com\nAction: %s\nStatus: %s\nRemote-MTA: dns; %s\n\n", i, field(text), field(text), field(text))
	}),
	"extension fields": report(func(i int, text string) string {
		return fmt.Sprintf("Final-Recipient: rfc822; u%d@example.com\nX-Diagnostic-%d: %s\nX-Actual-Recipient: %s\n\n", i, i, field(text), field(text))
	}),
	"status part": func(b *strings.Builder, size, _ int, fill func(int) string) {
		b.WriteString(bounceHead + reportHead + "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n")
		b.WriteString(fill(size-b.Len()) + "\n--b--\n")
	},
	"words of a report": func(b *strings.Builder, size, each int, fill func(int) string) {
		b.WriteString(bounceHead + reportHead + "--b\nContent-Type: text/plain\n\n")
		words := fill(min(size-b.Len(), 48<<10) * 2 / 3)
		b.WriteString(words + "\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n")
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(b, "Final-Recipient: rfc822; u%d@example.com\nAction: failed\nStatus: 5.0.0\n\n", i)
		}
		b.WriteString("--b--\n")
	},
	"notice": func(b *strings.Builder, size, _ int, fill func(int) string) {
		b.WriteString(bounceHead + "\n" + fill(size-b.Len()))
	},
	"notice below a list": func(b *strings.Builder, size, _ int, fill func(int) string) {
		b.WriteString(bounceHead + failed)
		for i := 0; b.Len() < size/2 && b.Len() < 20<<10; i++ {
			fmt.Fprintf(b, "<u%d@a.b>\n", i)
		}
		b.WriteString(fill(size - b.Len()))
	},
	"notice of each recipient": func(b *strings.Builder, size, each int, fill func(int) string) {
		b.WriteString(bounceHead + failed)
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(b, "<u%d@example.com>: %s\n\n", i, fill(min(each, size-b.Len()+1)))
		}
	},
	"dialogue": func(b *strings.Builder, size, each int, fill func(int) string) {
		b.WriteString(bounceHead + failed + "<u0@example.com>\n   ----- Transcript of session follows -----\n... while talking to mx.example.com.:\n")
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(b, ">>> RCPT TO:<u%d@example.com>\n<<< 550 %s\n", i, field(fill(min(each, size-b.Len()+1))))
		}
	},
	"HTML": func(b *strings.Builder, size, _ int, fill func(int) string) {
		b.WriteString(bounceHead + "Content-Type: text/html; charset=utf-8\n\n<html><body><p>Delivery has failed</p>" + fill(size-b.Len()))
	},
	"base64": func(b *strings.Builder, size, _ int, fill func(int) string) {
		b.WriteString(bounceHead + "Content-Type: text/plain; charset=iso-2022-jp\nContent-Transfer-Encoding: base64\n\n")
		b.WriteString(base64.StdEncoding.EncodeToString([]byte(fill((size - b.Len()) * 3 / 4))))
	},
	"quoted-printable": func(b *strings.Builder, size, _ int, fill func(int) string) {
		b.WriteString(bounceHead + "Content-Type: text/html; charset=big5\nContent-Transfer-Encoding: quoted-printable\n\n" + fill(size-b.Len()))
	},
	"header fields": func(b *strings.Builder, size, each int, fill func(int) string) {
		b.WriteString(bounceHead)
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(b, "%s: %s\n", headerNames[i%len(headerNames)], field(fill(min(each, size-b.Len()+1))))
		}
		b.WriteString(failed + "<u@example.com>\n")
	},
	"To": func(b *strings.Builder, size, _ int, fill func(int) string) {
		b.WriteString("Return-Path: <>\nFrom: MAILER-DAEMON@x.example\nTo: " + field(fill(min(size/2, 15<<10))) + "\n\nDelivery has failed\n")
		b.WriteString(fill(size - b.Len()))
	},
	"parts": func(b *strings.Builder, size, each int, fill func(int) string) {
		b.WriteString(bounceHead + "Content-Type: multipart/mixed; boundary=b\n\n")
		for i := 0; b.Len() < size; i++ {
			b.WriteString("--b\nContent-Type: " + partTypes[i%len(partTypes)] + "\n\n" + fill(min(each, size-b.Len()+1)) + "\n")
		}
	},
	"one part after another": func(b *strings.Builder, size, each int, fill func(int) string) {
		b.WriteString(bounceHead + "Content-Type: multipart/mixed; boundary=b\n\n")
		for b.Len() < size {
			b.WriteString("--b\n" + fill(min(each, size-b.Len()+1)) + "\n")
		}
	},
	"nested parts": func(b *strings.Builder, size, _ int, fill func(int) string) {
		b.WriteString(bounceHead + "Content-Type: multipart/mixed; boundary=b0\n\n")
		for i := range 8 {
			fmt.Fprintf(b, "--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n", i, i+1)
		}
		b.WriteString(fill(size - b.Len()))
	},
	"boundary": func(b *strings.Builder, size, each int, fill func(int) string) {
		b.WriteString(bounceHead + "Content-Type: multipart/mixed; boundary=\"" + field(fill(min(each, 2000))) + "\"\n\n--")
		b.WriteString(fill(size - b.Len()))
	},
	"returned message": func(b *strings.Builder, size, _ int, fill func(int) string) {
		b.WriteString(bounceHead + reportHead + "--b\nContent-Type: message/rfc822\n\n" + fill(size-b.Len()) + "\n--b--\n")
	},
	"attached bounces": func(b *strings.Builder, size, each int, fill func(int) string) {
		b.WriteString(bounceHead + reportHead)
		for b.Len() < size {
			b.WriteString("--b\nContent-Type: message/rfc822\n\n" + bounceHead + failed + fill(min(each, size-b.Len()+1)) + "\n")
		}
	},
	"lost MIME header": func(b *strings.Builder, size, _ int, fill func(int) string) {
		b.WriteString(bounceHead + "\nThis is a MIME message\n\n--b\nContent-Type: text/plain\n\n" + fill(size-b.Len()))
	},
	"SNS": func(b *strings.Builder, size, each int, fill func(int) string) {
		b.WriteString("Return-Path: <bounces@amazonses.com>\nFrom: no-reply@sns.amazonaws.com\n\n{\"notificationType\":\"Bounce\",\"bounce\":{\"bouncedRecipients\":[")
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(b, "{\"emailAddress\":\"u%d@example.com\",\"action\":\"failed\",\"status\":\"5.0.0\",\"diagnosticCode\":%q},\n", i, fill(min(each, size-b.Len()+1)))
		}
		b.WriteString("{}]}}\n")
	},
	"automatic reply": func(b *strings.Builder, size, _ int, fill func(int) string) {
		b.WriteString("Return-Path: <>\nFrom: jo@example.com\nAuto-Submitted: auto-replied\nSubject: Out of office\n\n" + fill(size-b.Len()))
	},
	"anything": func(b *strings.Builder, size, _ int, fill func(int) string) { b.WriteString(fill(size)) },
}

// headerNames are fields that the reader reads.
var headerNames = []string{"Subject", "X-Failed-Recipients", "Received", "References", "From", "Return-Path", "In-Reply-To", "X-Loop", "Sender", "Precedence", "Content-Description"}

// partTypes are the media types that the parts of a message get in turn.
var partTypes = []string{"text/plain; charset=euc-kr", "text/html", "message/rfc822", "text/plain\nContent-Transfer-Encoding: base64", "message/delivery-status", "text/rfc822-headers", "application/octet-stream"}

// report returns the place in the fields about many recipients.
func report(group func(i int, text string) string) place {
	return func(b *strings.Builder, size, each int, fill func(int) string) {
		b.WriteString(bounceHead + reportHead + "--b\nContent-Type: text/plain\n\nno\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n")
		for i := 0; b.Len() < size; i++ {
			b.WriteString(group(i, fill(min(each, size-b.Len()+1))))
		}
		b.WriteString("\n--b--\n")
	}
}

// field folds a text of many lines into one field.
func field(s string) string { return strings.ReplaceAll(s, "\n", "\n ") }
