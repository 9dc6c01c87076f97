package dsn

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestStatusGroups reads the fields of recipients that lie about in every way.
// A recipient is written as address/action/status/diagnostic.
func TestStatusGroups(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"as RFC 3464 has it", "Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822; u@b\nAction: failed\nStatus: 5.1.1\n\nFinal-Recipient: rfc822; v@b\nAction: delayed\nStatus: 4.2.2\n",
			[]string{"u@b/failed/5.1.1/", "v@b/delayed/4.2.2/"}},
		{"no empty lines", "Reporting-MTA: dns; a\nOriginal-Recipient: rfc822; u@b\nFinal-Recipient: rfc822; u@b\nAction: failed\nStatus: 5.1.1\nOriginal-Recipient: rfc822; v@b\nFinal-Recipient: rfc822; v@b\nAction: failed\nStatus: 5.2.2\n",
			[]string{"u@b/failed/5.1.1/", "v@b/failed/5.2.2/"}},
		{"no empty lines, action first", "Action: failed\nFinal-Recipient: u@b\nStatus: 5.1.1\nAction: failed\nFinal-Recipient: v@b\nStatus: 5.2.2\n",
			[]string{"u@b/failed/5.1.1/", "v@b/failed/5.2.2/"}},
		{"an empty line after every field", "Original-Recipient: u@b\n\nFinal-Recipient: u@b\n\nAction: failed\n\nStatus: 5.1.1\n\nDiagnostic-Code: smtp; 550 no\n\nFinal-Recipient: v@b\n\nAction: failed\n",
			[]string{"u@b/failed/5.1.1/550 no", "v@b/failed//"}},
		{"lines of spaces between the groups", "Reporting-MTA: dns; a\n  \nFinal-Recipient: u@b\nAction: failed\n \t\nFinal-Recipient: v@b\nAction: failed\n",
			[]string{"u@b/failed//", "v@b/failed//"}},
		{"indented", "  Reporting-MTA: dns; a\n\n  Final-Recipient: u@b\n  Action: failed\n  Status: 5.1.1\n  Diagnostic-Code: smtp; 550\n    no such user\n",
			[]string{"u@b/failed/5.1.1/550 no such user"}},
		{"space before the colon", "Final-Recipient : rfc822 ; u@b\nAction\t: failed\nStatus : 5.1.1\n",
			[]string{"u@b/failed/5.1.1/"}},
		{"folds that are not indented", "Final-Recipient: u@b\nAction: failed\nDiagnostic-Code: smtp; 550 no\nsuch user\n\nhere, see\nhttps://example.com/x\nStatus: 5.1.1\n",
			[]string{"u@b/failed/5.1.1/550 no such user here, see https://example.com/x"}},
		{"a footer that is no fold", "Final-Recipient: u@b\nAction: failed\nStatus: 5.1.1\n\nScanned by a filter\n",
			[]string{"u@b/failed/5.1.1/"}},
		{"fields run together", "Final-Recipient: rfc822; u@b Action: failed\nStatus: 5.1.1 Remote-MTA: dns; c\nDiagnostic-Code: smtp; 550 Status: no Last-Attempt-Date: today\n",
			[]string{"u@b/failed/5.1.1/550 Status: no"}},
		{"invented actions", "Final-Recipient: u@b\nAction: expired\n\nFinal-Recipient: v@b\nAction: deliverable\n\nFinal-Recipient: w@b\nAction: Delayed (will retry)\n\nFinal-Recipient: x@b\nAction: nonsense\nStatus: 2.0.0\n\nFinal-Recipient: y@b\n",
			[]string{"u@b/failed//", "v@b/delivered//", "w@b/delayed//", "x@b/delivered/2.0.0/", "y@b/failed//"}},
		{"no recipient", "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no\n",
			[]string{"/failed/5.1.1/550 no"}},
		{"status with a comment", "Final-Recipient: u@b\nAction: failed\nStatus: 5.2.1 (mailbox disabled, 4.0.0)\n",
			[]string{"u@b/failed/5.2.1/"}},
		{"status that is a reply code", "Final-Recipient: u@b\nAction: failed\nStatus: 550\n",
			[]string{"u@b/failed//"}},
		{"generic status beside a good one", "Final-Recipient: u@b\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 no\n",
			[]string{"u@b/failed/5.1.1/550 5.1.1 no"}},
		{"good status beside a generic one", "Final-Recipient: u@b\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.0.0 no\n",
			[]string{"u@b/failed/5.1.1/550 5.0.0 no"}},
		{"the same recipient twice", "Final-Recipient: u@b\nAction: failed\nStatus: 5.0.0\n\nFinal-Recipient: U@B\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no\n",
			[]string{"u@b/failed/5.1.1/550 no"}},
		{"type twice", "Final-Recipient: u@b\nAction: failed\nDiagnostic-Code: smtp; smtp; 550 no\n",
			[]string{"u@b/failed//550 no"}},
		{"exit code", "Final-Recipient: u@b\nAction: failed\nStatus: 5.3.0\nDiagnostic-Code: X-Unix; 221\n",
			[]string{"u@b/failed/5.3.0/221"}},
	}
	for _, tt := range tests {
		for _, end := range []string{"\n", "\r\n", "\r"} {
			raw := strings.ReplaceAll("Content-Type: message/delivery-status\nFrom: MAILER-DAEMON@a.example\n\n"+tt.in, "\n", end)
			r := Read(context.Background(), []byte(raw), Limits{})
			var got []string
			for _, rcpt := range r.Recipients {
				got = append(got, fmt.Sprintf("%s/%s/%s/%s", rcpt.Address, rcpt.Action, rcpt.Status, rcpt.Diagnostic))
			}
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("%s, lines end with %q:\n got %q\nwant %q", tt.name, end, got, tt.want)
			}
		}
	}
}

func TestReadMTA(t *testing.T) {
	tests := []struct{ in, want string }{
		{"dns; mx.example.com", "mx.example.com"},
		{"dns;mx.example.com. (192.0.2.1, the server for the domain example.com.)", "mx.example.com"},
		{"DNS; [192.0.2.1]", "[192.0.2.1]"},
		{"192.0.2.1", "192.0.2.1"},
		{"dsn; a.example.com", "a.example.com"},
		{"x400; mta gw.example.net", "mta gw.example.net"},
		{"X-Unix; mirapoint", "mirapoint"},
		{"(((", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := readMTA(tt.in); got != tt.want {
			t.Errorf("readMTA(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
