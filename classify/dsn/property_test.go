package dsn

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// TestReadsBackWhatIsValid writes valid reports (RFC 3464, 6533, in containers of
// RFC 6522) at random and reads them back: nothing may be lost or invented.
func TestReadsBackWhatIsValid(t *testing.T) {
	n := uint64(3000)
	if testing.Short() {
		n = 300
	}
	for seed := range n {
		w := reportWriter{rnd: rand.New(rand.NewPCG(seed, 3464))}
		raw, want := w.message()
		got := Read(context.Background(), []byte(raw), Limits{})
		got.Work = 0
		for i := range got.Recipients {
			got.Recipients[i].Notice = "" // words, which are not generated
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d:\n%s\n got %+v\nwant %+v", seed, raw, got, want)
		}
	}
}

// reportWriter writes one report and what must be read of it.
type reportWriter struct {
	rnd    *rand.Rand
	global bool // RFC 6533
}

func (w *reportWriter) maybe() bool { return w.rnd.IntN(2) == 0 }

func (w *reportWriter) pick(of ...string) string { return of[w.rnd.IntN(len(of))] }

func (w *reportWriter) message() (string, *Report) {
	w.global = w.rnd.IntN(4) == 0
	want := &Report{Kind: KindDSN}
	boundary := w.pick("b", "=_x/y+z", "----=_Part_1.2", "a'(b)_c,d.e:f?g", "0123456789012345678901234567890123456789012345678901234567890123456789")
	kind := "message/delivery-status"
	if w.global {
		kind = "message/global-delivery-status"
	}
	var b strings.Builder
	b.WriteString("Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nMIME-Version: 1.0\n")
	fmt.Fprintf(&b, "%s: %s;%sreport-type=%s;%sboundary=\"%s\"\n", w.pick("Content-Type", "content-type"),
		w.pick("multipart/report", "Multipart/Report"), w.pick(" ", "\n\t"), "delivery-status", w.pick(" ", "\n "), boundary)
	b.WriteString("Subject: Undeliverable\n\n")
	if w.maybe() {
		b.WriteString("This is a preamble.\n\n")
	}
	fmt.Fprintf(&b, "--%s\n%s\n%s\n", boundary, w.pick("Content-Type: text/plain; charset=us-ascii\n", ""), "Something went wrong.")
	fmt.Fprintf(&b, "--%s\nContent-Type: %s\n\n%s", boundary, kind, w.status(want))
	if w.maybe() {
		b.WriteString("\n") // the empty line that may end the last group
	}
	if w.maybe() {
		id := fmt.Sprintf("%d.%d@sender.example", w.rnd.IntN(1000), w.rnd.IntN(1000))
		want.Returned = Returned{MessageID: id, From: "Ada <ada@sender.example>", To: "jo@example.com", Date: "Thu, 3 Sep 2026 10:15:02 +0200"}
		fmt.Fprintf(&b, "--%s\nContent-Type: %s\n\nMessage-ID: <%s>\nFrom: Ada <ada@sender.example>\nTo: jo@example.com\nDate: %s\nSubject: x\n\n",
			boundary, w.pick("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"), id, want.Returned.Date)
		b.WriteString("Final-Recipient: rfc822; not@one.example\nAction: failed\n")
	}
	fmt.Fprintf(&b, "--%s--\n%s", boundary, w.pick("", "epilogue\n"))
	raw := b.String()
	if w.maybe() {
		raw = strings.ReplaceAll(raw, "\n", "\r\n")
	}
	return raw, want
}

// status writes the fields of a report.
func (w *reportWriter) status(want *Report) string {
	var b strings.Builder
	if w.maybe() {
		id := w.pick("QQ314159", "a+b=c", "job 7", "x")
		want.EnvelopeID = id
		w.field(&b, "Original-Envelope-Id", strings.NewReplacer("+", "+2B", "=", "+3D", " ", "+20").Replace(id))
	}
	want.ReportingMTA = w.host()
	w.field(&b, "Reporting-MTA", "dns; "+want.ReportingMTA)
	if w.maybe() {
		want.DSNGateway = w.host()
		w.field(&b, "DSN-Gateway", "dns; "+want.DSNGateway+w.comment())
	}
	if w.maybe() {
		want.ReceivedFromMTA = w.host()
		w.field(&b, "Received-From-MTA", "dns;"+want.ReceivedFromMTA+w.comment())
	}
	if w.maybe() {
		want.ArrivalDate = "Thu, 3 Sep 2026 08:15:02 +0000"
		w.field(&b, "Arrival-Date", want.ArrivalDate)
	}
	want.Extensions = w.extensions(&b)
	want.Recipients = make([]Recipient, 1+w.rnd.IntN(5))
	for i := range want.Recipients {
		b.WriteString("\n")
		w.recipient(&b, &want.Recipients[i], i)
	}
	return b.String()
}

// recipient writes the fields of one recipient, in the order of RFC 3464
// section 2.3.
func (w *reportWriter) recipient(b *strings.Builder, want *Recipient, i int) {
	if w.maybe() {
		want.Original = fmt.Sprintf("o%d@alias.example", i)
		w.field(b, "Original-Recipient", "rfc822;"+want.Original)
	}
	var written string
	want.Address, written = w.address(i)
	w.field(b, "Final-Recipient", written)

	want.Action = Actions()[w.rnd.IntN(len(Actions()))]
	w.field(b, "Action", w.pick(string(want.Action), strings.ToUpper(string(want.Action)))+w.comment())
	class := "5"
	switch want.Action {
	case ActionDelayed:
		class = "4"
	case ActionDelivered, ActionRelayed, ActionExpanded:
		class = "2"
	}
	status := class + w.pick(".0.0", ".1.1", ".2.2", ".7.26", ".4.4", ".3.0", ".7.606")
	want.StatusField = reply.ParseStatus(status)
	want.Status = want.StatusField
	w.field(b, "Status", status+w.comment())
	if w.maybe() {
		want.RemoteMTA = w.host()
		w.field(b, "Remote-MTA", "dns; "+want.RemoteMTA+w.comment())
	}
	if w.maybe() {
		w.diagnostic(b, want, class)
	}
	if w.maybe() {
		want.LastAttempt = "Thu, 3 Sep 2026 08:15:10 +0000"
		w.field(b, "Last-Attempt-Date", want.LastAttempt)
	}
	if w.maybe() {
		want.FinalLogID = fmt.Sprintf("log.%d", w.rnd.IntN(100))
		w.field(b, "Final-Log-ID", want.FinalLogID)
	}
	if want.Action == ActionDelayed && w.maybe() {
		want.WillRetryUntil = "Tue, 8 Sep 2026 08:15:02 +0000"
		w.field(b, "Will-Retry-Until", want.WillRetryUntil)
	}
	want.Extensions = w.extensions(b)
}

func (w *reportWriter) diagnostic(b *strings.Builder, want *Recipient, class string) {
	words := w.pick("no such user here", "mailbox is full, try later", "Nutzer unbekannt", "blocked (see postmaster)")
	if w.global && w.maybe() {
		words = w.pick("用户不存在", "ящик не найден", "boîte pleine")
	}
	want.DiagnosticType = w.pick("smtp", "x-postfix", "x-unix", "lmtp")
	want.Diagnostic = words
	if want.DiagnosticType != "x-unix" && w.maybe() {
		want.SMTPCode = 50 + 100*int(class[0]-'0')
		want.Diagnostic = fmt.Sprintf("%d %s", want.SMTPCode, words)
		if w.maybe() {
			said := class + w.pick(".1.1", ".2.1", ".7.1")
			want.Status = reply.ParseStatus(said)
			want.Diagnostic = fmt.Sprintf("%d %s %s", want.SMTPCode, said, words)
		}
	}
	want.said = reply.Parse(want.Diagnostic)
	w.field(b, "Diagnostic-Code", want.DiagnosticType+"; "+want.Diagnostic)
}

// address returns an address and one of the ways to write it.
func (w *reportWriter) address(i int) (addr, written string) {
	if !w.global {
		addr = fmt.Sprintf(w.pick("u%d@example.com", "u%d+tag@sub.example.com", "a.b%d@example.org", `"a b%d"@example.org`, "u%d@[192.0.2.1]"), i)
		return addr, w.pick("rfc822", "RFC822") + w.pick(";", "; ") + addr
	}
	local := w.pick("δοκιμή", "用户", "pelé", "u")
	addr = fmt.Sprintf("%s%d@%s", local, i, w.pick("example.com", "παράδειγμα.example"))
	if w.maybe() { // raw UTF-8: utf-8-addr-unitext may hold it as it is
		return addr, "utf-8; " + addr
	}
	var b strings.Builder // utf-8-addr-xtext
	for _, r := range addr {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\x{%X}`, r)
		}
	}
	return addr, "utf-8;" + b.String()
}

// field writes a field, folded at a space or not.
func (w *reportWriter) field(b *strings.Builder, name, value string) {
	switch w.rnd.IntN(4) {
	case 0:
		name = strings.ToLower(name)
	case 1:
		name = strings.ToUpper(name)
	}
	if i := strings.LastIndexByte(value, ' '); i > 0 && w.rnd.IntN(3) == 0 && !strings.Contains(value, `"`) {
		value = value[:i] + w.pick("\n ", "\n\t") + value[i+1:]
	}
	b.WriteString(name + w.pick(": ", ":") + value + "\n")
}

func (w *reportWriter) extensions(b *strings.Builder) []Field {
	var fs []Field
	for range w.rnd.IntN(3) {
		f := Field{Name: w.pick("X-Queue-ID", "X-Display-Name", "Vendor-Extension"), Value: w.pick("4cQk3B5tLyz4X", "rfc822; a@b.example", "Jo Kern (sales)")}
		b.WriteString(f.Name + ": " + f.Value + "\n")
		fs = append(fs, f)
	}
	return fs
}

func (w *reportWriter) host() string {
	if w.global && w.maybe() {
		return "mx.παράδειγμα.example"
	}
	return w.pick("mx1.example.com", "relay.example.net", "[192.0.2.25]", "localhost")
}

func (w *reportWriter) comment() string {
	return w.pick("", "", " (a comment)", " (nested (comment) here)", ` (with \) in it)`)
}
