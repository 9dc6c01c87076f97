package lab

import (
	"bytes"
	"fmt"
	"strings"
)

// Refused is one recipient of a report that Bounce builds.
type Refused struct {
	Address    string
	Action     string // "failed" when empty
	Status     string
	Diagnostic string // the remote server's reply; none when empty
	RemoteMTA  string
}

// Bounce builds a delivery status notification (RFC 3464) as Postfix writes it. id
// becomes part of the Message-Id; extra are whole lines to put on top, such as forged
// fields.
func Bounce(id, to string, extra []string, refused ...Refused) []byte {
	var b bytes.Buffer
	for _, line := range extra {
		fmt.Fprintf(&b, "%s\n", line)
	}
	fmt.Fprintf(&b, `Date: Mon, 2 Nov 2026 10:00:00 +0000
From: MAILER-DAEMON@mx.remote.test (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: %s
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="4ABCD.1793613600/mx.remote.test"
Content-Transfer-Encoding: 8bit
Message-Id: <%s@mx.remote.test>

This is a MIME-encapsulated message.

--4ABCD.1793613600/mx.remote.test
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.remote.test.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

                   The mail system
`, to, id)
	for _, r := range refused {
		fmt.Fprintf(&b, "\n<%s>: host %s said:\n    %s\n", r.Address, r.RemoteMTA, r.Diagnostic)
	}
	b.WriteString(`
--4ABCD.1793613600/mx.remote.test
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.remote.test
X-Postfix-Queue-ID: 4ABCD
X-Postfix-Sender: rfc822; news@lab.test
Arrival-Date: Mon,  2 Nov 2026 09:59:58 +0000 (UTC)
`)
	for _, r := range refused {
		action := r.Action
		if action == "" {
			action = "failed"
		}
		fmt.Fprintf(&b, "\nFinal-Recipient: rfc822; %s\nAction: %s\nStatus: %s\n", r.Address, action, r.Status)
		if r.RemoteMTA != "" {
			fmt.Fprintf(&b, "Remote-MTA: dns; %s\n", r.RemoteMTA)
		}
		if r.Diagnostic != "" {
			fmt.Fprintf(&b, "Diagnostic-Code: smtp; %s\n", r.Diagnostic)
		}
	}
	fmt.Fprintf(&b, `
--4ABCD.1793613600/mx.remote.test
Content-Description: Undelivered Message
Content-Type: message/rfc822

Date: Mon, 2 Nov 2026 09:59:58 +0000
From: news@lab.test
To: %s
Subject: News
Message-Id: <orig-%s@lab.test>

Hello.

--4ABCD.1793613600/mx.remote.test--
`, refused[0].Address, id)
	return b.Bytes()
}

// Returning is Bounce with a message of its own that came back.
func Returning(id, to string, returned []byte, refused ...Refused) []byte {
	text := string(Bounce(id, to, nil, refused...))
	const part, end = "Content-Type: message/rfc822\n\n", "\n--4ABCD.1793613600/mx.remote.test--\n"
	before, _, _ := strings.Cut(text, part)
	return []byte(before + part + string(returned) + end)
}

// WordsOnly builds a bounce in words only, as qmail writes it.
func WordsOnly(id, to, recipient, reply string) []byte {
	return fmt.Appendf(nil, `Date: 2 Nov 2026 10:00:00 -0000
From: MAILER-DAEMON@mx.remote.test
To: %s
Subject: failure notice
Message-Id: <%s@mx.remote.test>

Hi. This is the qmail-send program at mx.remote.test.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<%s>:
192.0.2.25 does not like recipient.
Remote host said: %s
Giving up on 192.0.2.25.

--- Below this line is a copy of the message.

Return-Path: <news@lab.test>
From: news@lab.test
To: %s
Subject: News

Hello.
`, to, id, recipient, reply, recipient)
}

// Complaint builds a complaint of a recipient (RFC 5965) as a feedback loop sends it.
func Complaint(id, to, recipient string) []byte {
	return fmt.Appendf(nil, `Date: Mon, 2 Nov 2026 10:00:00 +0000
From: complaints@fbl.remote.test
To: %s
Subject: FW: News
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="fbl-4711"
Message-Id: <%s@fbl.remote.test>

--fbl-4711
Content-Type: text/plain; charset=us-ascii

This is an email abuse report for a message from 192.0.2.7.

--fbl-4711
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: RemoteFBL/1.0
Version: 1
Original-Mail-From: <news@lab.test>
Original-Rcpt-To: <%s>
Arrival-Date: Mon, 2 Nov 2026 09:59:58 +0000
Source-IP: 192.0.2.7

--fbl-4711
Content-Type: message/rfc822

Date: Mon, 2 Nov 2026 09:59:58 +0000
From: news@lab.test
To: %s
Subject: News
Message-Id: <orig-%s@lab.test>

Hello.

--fbl-4711--
`, to, id, recipient, recipient, id)
}

// Ordinary builds a mail as people write them; extra lines go on top, and the
// body is filled up to size octets.
func Ordinary(id, to string, extra []string, size int) []byte {
	var b bytes.Buffer
	for _, line := range extra {
		fmt.Fprintf(&b, "%s\n", line)
	}
	fmt.Fprintf(&b, `Date: Mon, 2 Nov 2026 10:00:00 +0000
From: Ann <ann@remote.test>
To: %s
Subject: Dinner
Message-Id: <%s@remote.test>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

`, to, id)
	line := strings.Repeat("Shall we meet at seven? ", 3) + "\n"
	for b.Len() < size {
		b.WriteString(line)
	}
	b.WriteString("Yours, Ann\n")
	return b.Bytes()
}
