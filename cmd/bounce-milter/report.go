package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/mailbox"
	"github.com/bounce-milter/bounce-milter/internal/lines"
	"github.com/bounce-milter/bounce-milter/internal/mask"
	"github.com/emersion/go-message"
)

// mostParts and mostFields bound what is told of the form of one message, and longestSaid
// the octets of a reply or notice.
const (
	mostParts   = 40
	mostFields  = 60
	longestSaid = 4000
)

func runReport(a *app, paths []string) error {
	cfg, engine, err := loadEngine(a.options.config)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		paths = []string{mailbox.Stdin}
		a.hint("a message")
	}
	r := &reporter{a: a, engine: engine, seen: map[string]int{}, kinds: map[mask.Kind]int{}}
	fmt.Fprintf(a.out, "bounce-milter report, version %s, rules %s\n\n", readBuild().version, engine.Version())
	fmt.Fprint(a.out, "Addresses, hosts, numbers and ids are masked: the same one by the same words each time. A name\n"+
		"among other words is not: read this before you send it to whoever mends rules.\n")
	failed := false
	n := 0
	for m := range mailboxes(cfg, a.stdin).Messages(paths...) {
		if m.Err == nil && !mailbox.LooksLikeMessage(m.Raw) {
			m.Err = isMessage(m.Raw, engine.Classify(context.Background(), m.Raw).Kind)
		}
		if m.Err != nil {
			failed = true
			a.complain(fmt.Errorf("%s: %w", clean(m.Name), m.Err))
			continue
		}
		n++
		r.message(n, m.Raw)
	}
	if failed {
		return errSaid
	}
	return nil
}

// reporter writes what a verdict was made from, without what could name somebody.
type reporter struct {
	a      *app
	engine *classify.Engine
	seen   map[string]int // number of what is masked, by kind and text
	kinds  map[mask.Kind]int
}

// masked returns text in which each address, host and so on is replaced by its kind and its
// number.
func (r *reporter) masked(text string, known ...string) string {
	text = mask.Clean(text, longestSaid)
	return mask.Replace(text, mask.Find(text, known...), func(s mask.Span) string {
		return r.stands(s.Kind, text[s.From:s.To])
	})
}

// host masks the name of a server, which may have no dot.
func (r *reporter) host(name string) string {
	for _, s := range mask.Find(name) {
		if s.Kind == mask.IP && s.From == 0 && s.To == len(name) {
			return r.stands(mask.IP, name)
		}
	}
	return r.stands(mask.Host, name)
}

// stands returns what stands for a text of a kind.
func (r *reporter) stands(kind mask.Kind, text string) string {
	key := kind.String() + "\x00" + strings.ToLower(text)
	n, ok := r.seen[key]
	if !ok {
		r.kinds[kind]++
		n = r.kinds[kind]
		r.seen[key] = n
	}
	return fmt.Sprintf("[%s %d]", kind, n)
}

func (r *reporter) message(n int, raw []byte) {
	res, all := r.engine.ExplainMessage(context.Background(), raw)
	p := paper{a: r.a, columns: 100}
	p.head(fmt.Sprintf("Message %d", n))
	p.field("kind", string(res.Kind))
	if res.ReportingMTA != "" {
		p.field("reporter", r.host(res.ReportingMTA))
	}
	if names := fieldNames(raw); names != "" {
		p.field("fields", names)
	}
	for i, part := range parts(raw) {
		name := "parts"
		if i > 0 {
			name = ""
		}
		p.field(name, part)
	}
	for i, rcpt := range res.Recipients {
		p.head(fmt.Sprintf("Recipient %d of message %d", i+1, n))
		known := []string{rcpt.Address, rcpt.Original}
		p.field("action", string(rcpt.Action))
		p.field("verdict", fmt.Sprintf("%s, %s, %s", rcpt.Category, rcpt.Type, rcpt.Reason))
		p.field("evidence", strings.TrimSpace(string(rcpt.Evidence)+" "+rcpt.Rule))
		p.field("codes", codes(rcpt.SMTPCode, rcpt.Status))
		p.field("provider", rcpt.Provider)
		if rcpt.RemoteMTA != "" {
			p.field("from", r.host(rcpt.RemoteMTA))
		}
		if rcpt.Diagnostic != "" {
			p.field("reply", r.masked(rcpt.Diagnostic, known...))
		}
		if i >= len(all) || all[i] == nil {
			continue
		}
		x := all[i]
		if x.Notice != "" && x.Notice != rcpt.Diagnostic {
			p.field("notice", r.masked(x.Notice, known...))
		}
		for j, m := range x.Matches {
			name := "rules"
			if j > 0 {
				name = ""
			}
			lost := "won"
			if m.Lost != "" {
				lost = "lost: " + m.Lost
			}
			p.field(name, fmt.Sprintf("%s in the %s, %s", m.ID, m.Where, lost))
		}
		p.field("wrong", "(please say what it should be)")
	}
	if len(res.Recipients) == 0 {
		p.field("wrong", "(please say what it should be)")
	}
}

// standardFields are the names of fields that tell nobody who sent a message.
const standardFields = " Accept-Language Apparently-To ARC-Authentication-Results ARC-Message-Signature ARC-Seal Authentication-Results " +
	"Auto-Submitted Bcc Cc Comments Content-Class Content-Description Content-Disposition Content-ID Content-Language Content-Length " +
	"Content-Transfer-Encoding Content-Type Date Delivered-To Diagnostic-Code Disposition-Notification-To DKIM-Signature Domainkey-Signature " +
	"Encoding Envelope-To Errors-To Failed-Recipients Feedback-ID From Importance In-Reply-To Keywords List-Archive List-Help List-ID " +
	"List-Owner List-Post List-Subscribe List-Unsubscribe List-Unsubscribe-Post Lines Mailing-List Message-ID MIME-Version Organization " +
	"Original-Recipient Precedence Priority Received Received-SPF References Reply-To Return-Path Sender Sensitivity Status Subject " +
	"Thread-Index Thread-Topic TLS-Required To User-Agent "

// fieldNames lists the names of a header's fields, as far as they are the same for everybody.
func fieldNames(raw []byte) string {
	var names []string
	count := map[string]int{}
	for line := range bytes.Lines(raw) {
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		if !ok || line[0] == ' ' || line[0] == '\t' || !isFieldName(name) {
			continue
		}
		key := string(name)
		switch {
		case len(key) > 2 && strings.EqualFold(key[:2], "X-"):
			key = "X-…"
		case !strings.Contains(strings.ToLower(standardFields), " "+strings.ToLower(key)+" "):
			key = "…"
		}
		if count[key]++; count[key] == 1 {
			if len(names) == mostFields {
				break
			}
			names = append(names, key)
		}
	}
	for i, name := range names {
		if n := count[name]; n > 1 {
			names[i] = fmt.Sprintf("%s (%d)", name, n)
		}
	}
	return strings.Join(names, ", ")
}

func isFieldName(name []byte) bool {
	for _, c := range name {
		if c != '-' && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 40
}

// usualSubtypes are the types of parts that tell nobody who sent a message.
const usualSubtypes = " plain html enriched calendar csv rfc822-headers global-headers rfc822 global delivery-status global-delivery-status " +
	"disposition-notification global-disposition-notification feedback-report partial external-body mixed alternative related report " +
	"signed encrypted digest parallel octet-stream pdf zip json xml pgp-signature pgp-encrypted pkcs7-mime pkcs7-signature ms-tnef " +
	"x-pkcs7-mime x-pkcs7-signature jpeg png gif "

func isUsualType(t string) bool {
	kind, sub, _ := strings.Cut(t, "/")
	return strings.Contains(" text message multipart application image ", " "+kind+" ") && strings.Contains(usualSubtypes, " "+strings.ToLower(sub)+" ")
}

// parts lists the MIME parts of a message, each with its type and size.
func parts(raw []byte) []string {
	e, err := message.Read(bytes.NewReader(raw))
	if e == nil {
		return []string{"cannot be read: " + lines.First(fmt.Sprint(err))}
	}
	var list []string
	// A walk ends at the first part that is broken; what came before it counts.
	_ = e.Walk(func(path []int, part *message.Entity, err error) error {
		if len(list) == mostParts || len(path) > 8 {
			return io.EOF
		}
		text := "not in a form that can be read"
		if part != nil && err == nil {
			t, params, bad := mime.ParseMediaType(part.Header.Get("Content-Type"))
			if bad != nil || !isUsualType(t) {
				t = "text/plain, or of an odd type"
			}
			if kind := params["report-type"]; isUsualType("message/" + kind) {
				t += "; report-type=" + kind
			}
			text = t
			if !strings.HasPrefix(t, "multipart/") {
				n, _ := io.Copy(io.Discard, io.LimitReader(part.Body, 1<<24))
				text += fmt.Sprintf(", %s octets", grouped(int(n)))
			}
		}
		list = append(list, strings.Repeat("  ", len(path))+text)
		return nil
	})
	return list
}
