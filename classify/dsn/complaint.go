package dsn

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// FeedbackType says what a complaint is about.
type FeedbackType string

// The registered types (RFC 5965 section 7.3, RFC 6591, RFC 6650), those of its drafts,
// which are still sent, and [FeedbackOther] for all others.
const (
	FeedbackAbuse         FeedbackType = "abuse"
	FeedbackAuthFailure   FeedbackType = "auth-failure" // of DMARC, DKIM or SPF, no complaint of a person
	FeedbackDKIM          FeedbackType = "dkim"
	FeedbackFraud         FeedbackType = "fraud"
	FeedbackMiscategorize FeedbackType = "miscategorized"
	FeedbackNotSpam       FeedbackType = "not-spam" // the opposite of a complaint
	FeedbackOptOut        FeedbackType = "opt-out"
	FeedbackOptOutList    FeedbackType = "opt-out-list"
	FeedbackVirus         FeedbackType = "virus"
	FeedbackOther         FeedbackType = "other"
)

// FeedbackTypes lists every type, in the order of the constants.
func FeedbackTypes() []FeedbackType {
	return []FeedbackType{FeedbackAbuse, FeedbackAuthFailure, FeedbackDKIM, FeedbackFraud, FeedbackMiscategorize,
		FeedbackNotSpam, FeedbackOptOut, FeedbackOptOutList, FeedbackVirus, FeedbackOther}
}

// Feedback is what a complaint says (RFC 5965). Strings are "" where it does not.
type Feedback struct {
	Type FeedbackType `json:"type"`
	// Recipients are whom the message was sent to that is complained about, bare.
	// Reports often leave that out, or replace it by something unreadable, which is
	// left out here (RFC 6590).
	Recipients []string `json:"recipients"`
	// SourceIP is the address that the message came from.
	SourceIP       string `json:"source_ip"`
	ArrivalDate    string `json:"arrival_date"` // as the report writes it
	ReportedDomain string `json:"reported_domain"`
	UserAgent      string `json:"user_agent"` // the program that made the report
	// MailFrom is the envelope sender of that message, bare: where it was made for one
	// recipient, it names whom the report does not.
	MailFrom string `json:"mail_from"`
}

// Complains reports whether the report is one that somebody made about the message, not
// for it.
func (f *Feedback) Complains() bool { return f.Type != FeedbackNotSpam }

// complaint reads a report whose fields are in b, if there are any; the message that it
// is about is in a part of its own, or follows.
func (r *reading) complaint(b []byte) {
	fields, rest := r.header(bytes.TrimLeft(b, " \t\r\n"))
	h := countedHeader{fields, r.work}
	r.returnedAfter(rest, 0)
	f := &Feedback{
		Type:           readFeedbackType(h.Get("Feedback-Type")),
		SourceIP:       readIP(h.Get("Source-IP")),
		ArrivalDate:    h.Get("Arrival-Date"),
		ReportedDomain: readMTA(h.Get("Reported-Domain")),
		UserAgent:      h.Get("User-Agent"),
		MailFrom:       readAddress(h.Get("Original-Mail-From")),
	}
	r.rep.Feedback = f
	if f.ArrivalDate == "" {
		f.ArrivalDate = h.Get("Received-Date") // of the drafts
	}
	if r.rep.Returned.MessageID == "" {
		// QUIRK: reports about authentication (RFC 6591) by home-made programs.
		r.rep.Returned.MessageID = strings.Trim(h.Get("Message-ID"), " <>")
	}
	for _, name := range [...]string{"Original-Rcpt-To", "Removal-Recipient"} {
		f.add(h.Values(name), r.lim.Recipients)
	}
	if !address.IsMailbox(f.MailFrom) {
		f.MailFrom = readAddress(r.back.Get("Return-Path"))
	}
	if !address.IsMailbox(f.MailFrom) {
		f.MailFrom = ""
	}
	for _, k := range tables().feedback {
		if r.back.raw(k.returned) == nil {
			continue
		}
		if fields == nil {
			f.Type = FeedbackAbuse
		}
		if len(f.Recipients) == 0 {
			f.add([]string{r.back.Get(k.returned)}, 1)
		}
		if after, ok := cutPrefixFold(r.fields().Get("Subject"), k.subject); ok && k.subject != "" && f.SourceIP == "" {
			f.SourceIP = readIP(after)
		}
	}
}

// add adds recipients, each once, until there are limit of them.
func (f *Feedback) add(values []string, limit int) {
	seen := map[string]bool{}
	for _, a := range f.Recipients {
		seen[strings.ToLower(a)] = true
	}
	for _, v := range values {
		a := readAddress(v)
		if key := strings.ToLower(a); isRecipient(a) && !seen[key] && len(f.Recipients) < limit {
			seen[key] = true
			f.Recipients = append(f.Recipients, a)
		}
	}
}

// Recipient returns the address in a field such as To of a message that is complained
// about, "" if there are several, or somebody has made it unreadable.
func (r *Returned) Recipient() string {
	if a := Address(r.To); isRecipient(a) {
		return a
	}
	return ""
}

// isRecipient reports whether an address names somebody: it is one, and neither taken out
// nor replaced by a hash (RFC 6590).
func isRecipient(addr string) bool {
	if !address.IsMailbox(addr) {
		return false
	}
	at := strings.LastIndexByte(addr, '@')
	local, domain := strings.ToLower(addr[:at]), strings.ToLower(addr[at+1:])
	t := &tables().redacted
	return !slices.Contains(t.Local, local) && !strings.ContainsAny(local, "*[]<>") && (len(local) < 3 || strings.Trim(local, "x") != "") &&
		!slices.ContainsFunc(t.Domain, func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) }) &&
		!isHash(addr[:at])
}

// isHash reports whether a local part is a digest: 128 bits and more in hexadecimal, or
// base64 that was filled up.
func isHash(s string) bool {
	const md5, sha1 = 32, 27 // characters of the shortest ones, in hexadecimal and in base64
	digits := strings.TrimRight(s, "=")
	hex, letters := true, true
	for i := 0; i < len(digits); i++ {
		c := digits[i]
		hex = hex && hexDigit(upper(c)) >= 0
		letters = letters && (ascii.IsAlnum(c) || c == '+' || c == '/' || c == '-' || c == '_')
	}
	return hex && len(digits) >= md5 || letters && len(digits) < len(s) && len(digits) >= sha1-5
}

// readFeedbackType reads a type as the registry has it.
func readFeedbackType(value string) FeedbackType {
	value, _, _ = strings.Cut(value, ";")
	value = strings.ToLower(strings.TrimSpace(address.StripComments(value)))
	if t := FeedbackType(value); slices.Contains(FeedbackTypes(), t) {
		return t
	}
	if t, ok := tables().feedbackTypes[value]; ok {
		return t
	}
	return FeedbackOther
}

// readIP returns an address of a host in its usual form, "" if there is none.
func readIP(value string) string {
	value, _, _ = strings.Cut(strings.TrimSpace(value), " ")
	value = strings.Trim(value, "[]()<>,;.")
	value, _ = cutPrefixFold(value, "IPv6:")
	ip, err := netip.ParseAddr(value)
	if err != nil {
		return ""
	}
	return ip.Unmap().WithZone("").String()
}

func cutPrefixFold(s, prefix string) (after string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
