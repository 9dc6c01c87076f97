package reply

import "testing"

func TestParse(t *testing.T) {
	tests := []struct {
		in     string
		code   int
		status string
		text   string // "" = as in
	}{
		{"550 5.1.1 <u@example.com>: User unknown", 550, "5.1.1", ""},
		{"550 User unknown", 550, "", ""},
		{"  550 User \t unknown\r\n", 550, "", "550 User unknown"},
		{"smtp; 550 5.1.1 unknown", 550, "5.1.1", ""},
		{"smtp;550-5.7.26 The MAIL FROM domain [example.org] has an SPF record with a 550-5.7.26 hard fail policy (-all) but it fails 550 5.7.26 to pass SPF checks",
			550, "5.7.26", "smtp;550-5.7.26 The MAIL FROM domain [example.org] has an SPF record with a hard fail policy (-all) but it fails to pass SPF checks"},
		{"550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three", 550, "5.7.1", "550-5.7.1 one two three"},
		{"521-192.0.2.7 blocked by list.example. 521 DNSRBL: Blocked for abuse", 521, "", "521-192.0.2.7 blocked by list.example. DNSRBL: Blocked for abuse"},
		{"call 521-7184 for help", 0, "", ""},
		{"550-599 are for others", 0, "", ""},
		{"550 one\n550 two", 550, "", "550 one two"},
		{"550-Requested action not taken: mailbox unavailable 550 Reject due to policy restrictions.", 550, "",
			"550-Requested action not taken: mailbox unavailable Reject due to policy restrictions."},
		{"554-gmx.net Nemesis ESMTP Service not available 554-No SMTP service 554 Bad DNS PTR resource record.", 554, "",
			"554-gmx.net Nemesis ESMTP Service not available No SMTP service Bad DNS PTR resource record."},
		{"host mx.example.com[192.0.2.1] said: 550-5.7.1 a 550 5.7.2 b (in reply to RCPT TO command)", 550, "5.7.1",
			"host mx.example.com[192.0.2.1] said: 550-5.7.1 a 5.7.2 b (in reply to RCPT TO command)"},
		{"host mx.example.com[5.1.1.2] said: 452 4.1.1 <u@example.com> over quota", 452, "4.1.1", ""},
		{"553 sorry, no mailbox here by that name. (#5.1.1)", 553, "5.1.1", ""},
		{"sorry, no mailbox here by that name. (#5.1.1)", 0, "5.1.1", ""},
		{"550 #5.1.0 Address rejected.", 550, "5.1.0", ""},
		{"550 cuda_nsu 5.1.1 <u@example.com>... User unknown", 550, "5.1.1", ""},
		{"554 30 Sorry, your message to u@example.com cannot be delivered. This mailbox is disabled (554.30)", 554, "", ""},
		{"421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to user complaints - 4.16.55.1", 421, "4.7.0", ""},
		{"421 deferred due to user complaints - 4.16.55.1; see https://example.com/4.7.1", 421, "", ""},
		{"554 mail from 5.9.1.2 refused", 554, "", ""},
		{"550 host 192.0.2.7 refused by version 5.1.1 of the filter", 550, "", ""},
		{"Exim 4.92.3 says no", 0, "", ""},
		{"421, \"4.7.0\", TLS required for RCPT domain", 421, "4.7.0", ""},
		{"450, \"4.2.1\" The user", 450, "4.2.1", ""},
		{"554: Dialup/transient IP not allowed.", 554, "", ""},
		{"5.1.0 - Unknown address error 550-'5.2.2 mailbox full' (delivery attempts: 0)", 550, "5.2.2", ""},
		{"5.1.0 - Unknown address error 540-'Error: Wrong recipients' (delivery attempts: 0)", 540, "5.1.0", ""},
		{"550 5.0.350 Remote server returned an error -> 552 5.2.2 <u@example.com>: user is over quota", 552, "5.2.2", ""},
		{"550 permanent failure for one or more recipients (u@example.com:550 5.1.1 User unknown)", 550, "5.1.1", ""},
		{"5.3.0 - Other mail system problem 554-'Unknown user' (delivery attempts: 1)", 554, "5.3.0", ""},
		{"邮件投递失败550 Mail content denied", 550, "", ""},
		{"Delivery failed - 550 No such user", 550, "", ""},
		{"<mx1.example.com #5.7.1 smtp;530 5.7.1 Client was not authenticated>", 530, "5.7.1", ""},
		{"mailbox is full 550 5.0.0 <u@example.com>... Can't create output", 550, "5.0.0", ""},
		{"... while talking to mx.example.com.: >>> DATA <<< 503 All recipients are invalid 554 5.0.0 Service unavailable", 503, "5.0.0", ""},
		{`smtp: DATA error {"check":"dmarc","smtp_code":550,"smtp_enchcode":"5.7.1","smtp_msg":"DMARC check failed"}`, 550, "5.7.1", ""},
		{"STARTTLS not supported and the user requires enforcement., code: 500", 500, "", ""},
		{"Erreur serveur : '550 5.1.1 Adresse invalide. OFR_416 [416]", 550, "5.1.1", ""},
		{"SMTP error from remote mail server after MAIL FROM:<u@example.com> SIZE=15763: 421 4.7.0 [TS01] deferred", 421, "4.7.0", ""},
		{"R=dnslookup T=remote_smtp defer (113): No route to host H=mail.example.net [192.0.2.205]: mail.example.net", 0, "", ""},
		{"451 4.5.1 [192.0.2.6] Max concurrent sessions (#1.04)", 451, "4.5.1", ""},
		{"550 4.4.7 QUEUE.Expired; message expired", 550, "4.4.7", ""},
		{"250 2.0.0 ok 1234567 qp 4321", 250, "2.0.0", ""},
		{"250 ok, then 550 5.1.1 no", 550, "5.1.1", ""},
		{"message larger than 500 kilobytes", 0, "", ""},
		{"connect to mx.example.com[192.0.2.1]:587: Connection refused", 0, "", ""},
		{"delivered on 5.11.2024", 0, "", ""},
		{"call 550-123-4567", 0, "", ""},
		{"4.2.0 <u@example.com>: Recipient address rejected: Greylisted for 300 seconds", 0, "4.2.0", ""},
		{"550 5.1.1", 550, "5.1.1", ""},
		{"5.1.1.", 0, "5.1.1", ""},
		{"550-", 550, "", ""},
		{"550", 550, "", ""},
		{"", 0, "", ""},
		{"550 5.01.1 x", 550, "", ""},
		{"５５０　５．１．１　ユーザー不明", 550, "5.1.1", ""},
		{"550\u00a05.1.1\u00a0User unknown", 550, "5.1.1", ""},
		{"550‐5.1.1 User unknown", 550, "5.1.1", ""},
		{"エラー：550 5.1.1", 550, "5.1.1", ""},
		{"552 full «5.2.2»", 552, "5.2.2", ""},
		{"550 5.\u200b1.1 é", 550, "5.1.1", ""},
		{"550 5.7.1 “não”  é", 550, "5.7.1", "550 5.7.1 “não” é"},
		{"550 5.1.1.example.com", 550, "", ""},
	}
	for _, tt := range tests {
		r := Parse(tt.in)
		want := tt.text
		if want == "" {
			want = tt.in
		}
		if r.Code != tt.code || r.Status.String() != tt.status || r.Text != want {
			t.Errorf("Parse(%q)\n got %d %q %q\nwant %d %q %q", tt.in, r.Code, r.Status, r.Text, tt.code, tt.status, want)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	const s = "host mx.example.com[192.0.2.1] said: 550 5.1.1 <u@example.com>: User unknown (in reply to RCPT TO command)"
	if n := testing.AllocsPerRun(100, func() { Parse(s) }); n != 0 {
		t.Errorf("Parse allocates %v times", n)
	}
}

// BenchmarkParse parses a reply of many lines that were joined.
func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Parse("host mx1.example.com[192.0.2.25] said: 550-5.7.26 The MAIL FROM domain [sender.example] has an SPF record with a 550-5.7.26 hard fail policy (-all) 550 5.7.26 to pass SPF checks (in reply to end of DATA command)")
	}
}
