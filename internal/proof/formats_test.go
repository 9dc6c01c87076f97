package proof

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/emersion/go-msgauth/dkim"
)

// world is an examiner, with the key that the DKIM signatures of its domain are made by.
type world struct {
	*Examiner
	engine *classify.Engine
	signer crypto.Signer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	record := "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	path := filepath.Join(t.TempDir(), "s1.txt")
	if err := os.WriteFile(path, []byte(record), 0o644); err != nil {
		t.Fatal(err)
	}
	e := examiner(t, func(o *Options) { o.DKIM = []DKIM{{Domain: "example.org", Selector: "s1", PublicKeyFile: path}} })
	engine, err := classify.New(classify.Options{ReturnedSource: true})
	if err != nil {
		t.Fatal(err)
	}
	return &world{e, engine, key}
}

// news is mail of ours as it went out to a recipient: its header, with a DKIM signature and
// a ticket on top, and its body.
func (w *world) news(t *testing.T, to string) (header, body string) {
	t.Helper()
	text := "Received: from app.example.org (app.example.org [192.0.2.7])\r\n\tby mail.example.org with ESMTP id 4711;\r\n\tSat, 28 Nov 2026 11:00:00 +0000\r\n" +
		"From: Example News <news@example.org>\r\nTo: U <" + to + ">\r\nSubject: News\r\n\tof the week\r\nDate: Sat, 28 Nov 2026 11:00:00 +0000\r\n" +
		"Message-ID: <1@mail.example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\nX-Mailer: news\r\n"
	var b bytes.Buffer
	err := dkim.Sign(&b, strings.NewReader(text+"\r\nHello.\r\n"), &dkim.SignOptions{Domain: "example.org", Selector: "s1", Signer: w.signer,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID"}, Expiration: now.Add(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	header, body, _ = strings.Cut(strings.ReplaceAll(b.String(), "\r\n", "\n"), "\n\n")
	m := &origin.Mail{Sender: "news@example.org", From: "news@example.org", MessageID: "<1@mail.example.org>", Recipients: []string{to}}
	return origin.TicketField + ": " + w.Keys.Sign(m, now, 0) + "\n" + header, body
}

// bounced fills a format: it speaks of rcpt, and returns a message.
func bounced(format, rcpt, header, body string) string {
	line := base64.StdEncoding.EncodeToString([]byte(header + "\n\n" + body))
	var folded strings.Builder
	for ; len(line) > 76; line = line[76:] {
		folded.WriteString(line[:76] + "\n")
	}
	return strings.NewReplacer("RCPT", rcpt, "HEADER", header, "BODY", "\n"+body, "BASE64", folded.String()+line).Replace(format)
}

func (w *world) examine(t *testing.T, raw string) (*classify.Result, *Report) {
	t.Helper()
	res := w.engine.Classify(t.Context(), []byte(raw))
	return &res, w.Examine(t.Context(), &res, Envelope{To: []string{"news@example.org"}}, now)
}

var oldTicket = regexp.MustCompile(`(?m)^X-Bounce-Ticket: .*\n([ \t].*\n)*`)

// What other software writes, most of it in words alone: the returned header is found
// wherever it stands, its proof is bound to the recipient whom the words name, and to
// nobody else.
func TestFormats(t *testing.T) {
	w := newWorld(t)
	files, err := filepath.Glob("testdata/formats/*.eml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d formats: %v", len(files), err)
	}
	const u, victim = "u@example.com", "victim@example.com"
	header, body := w.news(t, u)
	theirs := strings.ReplaceAll(oldTicket.ReplaceAllString(header, ""), "example.org", "spam.example")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		format := string(b)
		for _, v := range []struct{ what, raw, want string }{
			{"as it is", bounced(format, u, header, body), "ours ticket bound " + u},
			{"with CRLF", strings.ReplaceAll(bounced(format, u, header, body), "\n", "\r\n"), "ours ticket bound " + u},
			{"without the ticket", bounced(format, u, oldTicket.ReplaceAllString(header, ""), body), "ours dkim bound " + u},
			{"of another recipient", bounced(format, victim, header, body), "unproven"},
			{"of another recipient, without the ticket", bounced(format, victim, oldTicket.ReplaceAllString(header, ""), body), "ours dkim"},
			{"with the header of another message, and ours in its body", bounced(format, u, theirs, header+"\n\n"+body), "unproven"},
		} {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".eml")+"/"+v.what, func(t *testing.T) {
				res, r := w.examine(t, v.raw)
				if len(res.Recipients) != 1 || res.Recipients[0].Type != classify.Hard {
					t.Fatalf("%s, %d recipients: %+v", res.Kind, len(res.Recipients), res.Recipients)
				}
				if got := found(r.Message); got != v.want && !(v.want == "unproven" && got == "foreign") {
					t.Errorf("%s is %s, want %s: %s", res.Recipients[0].Address, got, v.want, r.Message.Why)
				}
			})
		}
	}
}

// Whoever got a message of ours, with its ticket and signature, writes a bounce that names
// another beside himself, or in his place. Nothing makes that one bound.
func TestForgedFormats(t *testing.T) {
	w := newWorld(t)
	const u, victim = "u@example.com", "victim@example.com"
	header, body := w.news(t, u)
	read := func(name string) string {
		b, err := os.ReadFile("testdata/formats/" + name + ".eml")
		if err != nil {
			t.Fatal(err)
		}
		return bounced(string(b), u, header, body)
	}
	swap := func(name string, oldnew ...string) string {
		text := read(name)
		for i := 0; i < len(oldnew); i += 2 {
			if !strings.Contains(text, oldnew[i]) {
				t.Fatalf("%s has no %q", name, oldnew[i])
			}
		}
		return strings.NewReplacer(oldnew...).Replace(text)
	}
	nested := "\n--i\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; " + victim + "\nAction: failed\nStatus: 5.1.1\n\n--i--\n"
	for name, raw := range map[string]string{
		"a second in qmail's words":      swap("qmail", "--- Below", "<"+victim+">:\nSorry, no mailbox here by that name. (#5.1.1)\n\n--- Below"),
		"Exim's header names another":    swap("exim", "X-Failed-Recipients: "+u, "X-Failed-Recipients: "+victim),
		"Exim's header names both":       swap("exim", "X-Failed-Recipients: "+u, "X-Failed-Recipients: "+u+", "+victim),
		"a second in Sendmail's words":   swap("sendmail-8.6", "   ----- Transcript", "<"+victim+">  (unrecoverable error)\n\n   ----- Transcript"),
		"a second in Domino's words":     swap("domino", "because:", "  "+victim+"\n\nbecause:"),
		"a second in GroupWise's words":  swap("groupwise", "(550 User not found)", "(550 User not found)\n\t"+victim+" (550 User not found)"),
		"a second in Exchange's words":   swap("exchange-5.5", "\n\n\n------_=_", "\n\n"+victim+" on Sat, 28 Nov 2026 11:00:09 -0000\n    The recipient name is not recognized\n\n\n------_=_"),
		"a second in Gmail's fields":     swap("gmail", "Last-Attempt-Date", "\nFinal-Recipient: rfc822; "+victim+"\nAction: failed\nStatus: 5.1.1\nLast-Attempt-Date"),
		"another in Original-Recipient":  swap("gmail", "Action: failed", "Original-Recipient: rfc822; "+victim+"\nAction: failed"),
		"another in Exchange's fields":   swap("exchange", "Final-Recipient: rfc822;"+u, "Final-Recipient: rfc822;"+victim),
		"a report in the returned body":  swap("domino", "text/plain; charset=us-ascii\nX-Mailer", "multipart/mixed; boundary=i\nX-Mailer", "Hello.\n", nested),
		"the ticket twice, once of none": swap("qmail", origin.TicketField, origin.TicketField+": v=1; k=a; t=1; m=; r=; h=\n"+origin.TicketField),
	} {
		t.Run(name, func(t *testing.T) {
			res, r := w.examine(t, raw)
			named := false
			for i, f := range r.Each {
				rcpt := &res.Recipients[i]
				if strings.EqualFold(f.WentTo, victim) || f.Bound && (rcpt.Address != u || rcpt.Original != "" && rcpt.Original != u) {
					t.Errorf("%+v is %s", rcpt, found(f))
				}
				named = named || rcpt.Address == victim || rcpt.Original == victim
			}
			if r.Bound && (named || strings.Contains(raw, victim)) {
				t.Errorf("all of the report is bound: %+v", res.Recipients)
			}
			if !strings.Contains(raw, victim) && found(r.Message) != "ours ticket bound "+u {
				t.Errorf("it is %s", found(r.Message))
			}
		})
	}
}

// Exchange and Gmail do more to a header than to put fields before and behind it. What a
// ticket says lives through all of that but the loss of its own field, a signature through
// less.
func TestRewrittenFields(t *testing.T) {
	w := newWorld(t)
	const u = "u@example.com"
	header, body := w.news(t, u)
	unfolded := regexp.MustCompile(`\n[ \t]+`).ReplaceAllString(header, " ")
	field := func(name string) *regexp.Regexp { return regexp.MustCompile(`(?m)^` + name + `: .*\n([ \t].*\n)*`) }
	without := func(text string, names ...string) string {
		for _, n := range names {
			text = field(n).ReplaceAllString(text+"\n", "")
			text = strings.TrimSuffix(text, "\n")
		}
		return text
	}
	reversed := func(text string) string {
		list := strings.Split(text, "\n")
		slices.Reverse(list)
		return strings.Join(list, "\n")
	}
	for name, tt := range map[string]struct{ header, ticket, dkim string }{
		"every field in one line":         {unfolded, "ours ticket bound " + u, "ours dkim bound " + u},
		"fields in another order":         {reversed(unfolded), "ours ticket bound " + u, "ours dkim bound " + u},
		"names in another case":           {strings.NewReplacer("Message-ID:", "Message-Id:", "MIME-Version", "Mime-Version").Replace(header), "ours ticket bound " + u, "ours dkim bound " + u},
		"no Received":                     {without(header, "Received"), "ours ticket bound " + u, "ours dkim bound " + u},
		"no MIME fields":                  {without(header, "MIME-Version", "Content-Type"), "ours ticket bound " + u, "ours dkim bound " + u},
		"no Subject":                      {without(header, "Subject"), "ours ticket bound " + u, "unproven"},
		"no To":                           {without(header, "To"), "ours ticket bound " + u, "unproven"},
		"a name in quotation marks":       {strings.Replace(header, "Example News <", "\"Example News\" <", 1), "ours ticket bound " + u, "unproven"},
		"an encoded name":                 {strings.Replace(header, "Example News <", "=?utf-8?B?RXhhbXBsZSBOZXdz?= <", 1), "ours ticket bound " + u, "unproven"},
		"To with the address as its name": {strings.Replace(header, "U <"+u+">", "\""+u+"\" <"+u+">", 1), "ours ticket bound " + u, "unproven"},
		"the subject marked":              {strings.Replace(header, "Subject: ", "Subject: [EXTERNAL] ", 1), "ours ticket bound " + u, "unproven"},
		"Date in another form":            {strings.Replace(header, "11:00:00 +0000\nMessage", "03:00:00 -0800 (PST)\nMessage", 1), "ours ticket bound " + u, "unproven"},
		"another Message-ID":              {strings.Replace(header, "<1@mail.example.org>", "<2@exch.example.com>", 1), "unproven", "unproven"},
		"an author as an X.500 address":   {strings.Replace(header, "<news@example.org>", "</O=EXAMPLE/OU=EXCHANGE/CN=NEWS>", 1), "unproven", "unproven"},
		"no Message-ID":                   {without(header, "Message-ID"), "unproven", "unproven"},
		"no From":                         {without(header, "From"), "unproven", "unproven"},
		"no DKIM-Signature":               {without(header, "DKIM-Signature"), "ours ticket bound " + u, "unproven"},
		"only From, To, Subject and Date": {without(header, "DKIM-Signature", "X-Bounce-Ticket", "Received", "Message-ID"), "unproven", "unproven"},
	} {
		for _, format := range []string{"exchange", "gmail"} {
			t.Run(name+"/"+format, func(t *testing.T) {
				b, err := os.ReadFile("testdata/formats/" + format + ".eml")
				if err != nil {
					t.Fatal(err)
				}
				for what, v := range map[string]struct{ header, want string }{
					"with the ticket": {tt.header, tt.ticket}, "without": {without(tt.header, "X-Bounce-Ticket"), tt.dkim},
				} {
					_, r := w.examine(t, bounced(string(b), u, v.header, body))
					if got := found(r.Message); got != v.want {
						t.Errorf("%s it is %s, want %s: %s", what, got, v.want, r.Message.Why)
					}
				}
			})
		}
	}
}
