package milter

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/proof"
)

// The names of our header fields, without the prefix.
const (
	tagCategory = "Category"
	tagType     = "Type"
	tagReason   = "Reason"
	tagAction   = "Action"
	tagResult   = "Result"
	tagKind     = "Kind"
	tagOrigin   = "Origin"
	tagForged   = "Forged" // how many forged fields stay on the message
)

// placeForged is the index of X-Bounce-Forged, the only one that is not a verdict, in
// headerNames.
const placeForged = 0

// headerNames returns the names of all header fields that a daemon with this
// configuration writes. A new field must be added here, so that it is removed when it
// is forged. Those of actions come last.
func headerNames(cfg Config) []string {
	names := []string{tagForged, tagCategory, tagType, tagReason, tagAction, tagResult, tagKind, tagOrigin}
	for i, n := range names {
		names[i] = cfg.HeaderPrefix + n
	}
	for _, a := range cfg.Actions {
		if a.DryRun {
			continue
		}
		for _, f := range a.Header {
			if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, f.Name) }) {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// tagNames is how many of these names every configuration has.
const tagNames = 8

const (
	// maxResults is how many recipients get their own X-Bounce-Result.
	maxResults = 50
	// maxTags is more than one message gets: the fields of the primary
	// recipient, a result for each recipient, how many more there are, and those
	// of an action.
	maxTags = maxResults + 22
)

// field is a header field to insert. Its value is folded with LF, as MTAs expect.
type field struct{ name, value string }

// tagFields returns the headers for a message with this result, from the top down; none
// for ordinary mail. verp is the address that the sender wrote to, "" if it is not known,
// and whose says whose mail came back, nil if nobody asked. utf8 says that the headers may
// contain raw UTF-8 (RFC 6532).
func tagFields(prefix string, res *classify.Result, verp string, whose *proof.Report, utf8 bool) []field {
	switch res.Kind {
	case dsn.KindDSN, dsn.KindText:
	case dsn.KindNone, "":
		return nil
	case dsn.KindFeedback:
		return feedbackFields(prefix, res, verp, whose, utf8)
	default:
		return []field{{prefix + tagKind, token(string(res.Kind), false)}}
	}
	p := action.Primary(res.Recipients)
	if p == nil {
		// A report in which no recipient could be read is still a report,
		// but nothing supports a verdict.
		return append([]field{
			{prefix + tagCategory, string(classify.Unclassified)},
			{prefix + tagType, string(classify.Soft)},
			{prefix + tagReason, "unknown"},
		}, originFields(prefix, whose)...)
	}
	n := min(len(res.Recipients), maxResults)
	fields := make([]field, 0, 6+n)
	if p.Action.Bounced() {
		fields = append(fields,
			field{prefix + tagCategory, token(string(p.Category), false)},
			field{prefix + tagType, token(string(p.Type), false)},
			field{prefix + tagReason, token(p.Reason, false)})
	}
	fields = append(fields, field{prefix + tagAction, token(string(p.Action), false)})
	fields = append(fields, originFields(prefix, whose)...)
	for i := range res.Recipients[:n] {
		fields = append(fields, field{prefix + tagResult, resultValue(&res.Recipients[i], verp, utf8) + originValue(whose, i, utf8)})
	}
	return appendMore(fields, prefix, len(res.Recipients)-n+res.Dropped, whose, n)
}

// appendMore appends a result that says how many recipients have none of their own. It
// says too that a report may name somebody to whom the message is not proved to have gone,
// if none of the n results before it does: a program that reads the report itself would
// remove that address as well.
func appendMore(fields []field, prefix string, more int, whose *proof.Report, n int) []field {
	value := ""
	if more > 0 {
		value = fmt.Sprintf("%d more", more)
	}
	if whose != nil && n > 0 && !whose.Bound && !slices.ContainsFunc(whose.Each[:n], func(f proof.Finding) bool { return !f.Bound }) {
		value = cmp.Or(value, "perhaps more") + "; " + keyBound + "=no"
	}
	if value == "" {
		return fields
	}
	return append(fields, field{prefix + tagResult, value})
}

// feedbackFields returns the headers of a complaint: its kind, and what it says of each
// recipient that it names.
func feedbackFields(prefix string, res *classify.Result, verp string, whose *proof.Report, utf8 bool) []field {
	fields := append([]field{{prefix + tagKind, token(string(res.Kind), false)}}, originFields(prefix, whose)...)
	if res.Feedback == nil {
		return fields
	}
	f := res.Feedback
	n := min(len(f.Recipients), maxResults)
	for i, addr := range f.Recipients[:n] {
		value := address(addr, utf8) + "; " + keyFeedback + "=" + token(string(f.Type), false)
		if f.SourceIP != "" {
			value += "; " + keySourceIP + "=" + token(f.SourceIP, false)
		}
		if verp != "" {
			value += ";\n\t" + keyVERP + "=" + addressValue(verp, utf8)
		}
		fields = append(fields, field{prefix + tagResult, value + originValue(whose, i, utf8)})
	}
	return appendMore(fields, prefix, len(f.Recipients)-n, whose, n)
}

// resultValue returns the value of an X-Bounce-Result: everything about one recipient.
func resultValue(r *classify.Recipient, verp string, utf8 bool) string {
	var b strings.Builder
	b.Grow(256)
	addr := r.Address
	if addr == "" {
		addr = r.Original
	}
	if addr == "" {
		b.WriteString(noAddress)
	} else {
		b.WriteString(address(addr, utf8))
	}
	put := func(sep, key, value string) {
		b.WriteString(sep)
		b.WriteString(key)
		b.WriteByte('=')
		b.WriteString(value)
	}
	putToken := func(sep, key, value string) {
		if value != "" {
			put(sep, key, token(value, utf8))
		}
	}
	const same, fold = "; ", ";\n\t"
	actionSep := same
	if r.Action.Bounced() {
		putToken(same, keyCategory, string(r.Category))
		putToken(same, keyType, string(r.Type))
		putToken(same, keyReason, r.Reason)
		actionSep = fold
	}
	putToken(actionSep, keyAction, string(r.Action))
	putToken(same, keyStatus, r.Status)
	if r.SMTPCode > 0 {
		put(same, keySMTPCode, strconv.Itoa(r.SMTPCode))
	}
	if r.Action.Bounced() {
		putToken(same, keyProvider, r.Provider)
		putToken(same, keyRule, r.Rule)
	}
	if r.RemoteMTA != "" {
		put(fold, keyRemoteMTA, host(r.RemoteMTA, utf8))
	}
	if verp != "" {
		put(fold, keyVERP, addressValue(verp, utf8))
	}
	return b.String()
}
