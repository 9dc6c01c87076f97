package page

import (
	"slices"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/origin"
)

// group is a part of the page that explains words.
type group struct {
	ID, Title, Note string
	Entries         []entry
}

type entry struct{ ID, Name, Tag, Text, More string }

// meanings say what the words mean that are the same whatever the rules say.
var meanings = map[string]string{
	string(classify.InvalidAddress):   "The address does not exist: an unknown user or domain, a malformed address, an account that was closed, or a domain whose mail servers are missing.",
	string(classify.Mailbox):          "Nothing there takes mail: the domain accepts none, or the mailbox is locked or has no storage for now.",
	string(classify.MailboxFull):      "The recipient is over quota.",
	string(classify.RateLimit):        "Too many messages, recipients or connections, too fast.",
	string(classify.RecipientError):   "The recipient's server refused or failed for reasons on its side: a restricted group, relaying, TLS, an unreachable host, mail that waited too long.",
	string(classify.Rejection):        "Who sends, or the form of the message, was refused: SPF or DKIM, a missing PTR record, a sender address, the size.",
	string(classify.DMARC):            "DMARC failed.",
	string(classify.SenderReputation): "The sender is on a blocklist or has a poor reputation, or the message was judged spam, phishing or malware.",
	string(classify.Blocked):          "A policy or rule of the receiving organisation blocked the message, for none of the other reasons.",
	string(classify.Unclassified):     "The evidence supports nothing. It is said and counted, never guessed.",

	string(classify.Hard):  "The address will not work: stop mailing it.",
	string(classify.Soft):  "The address may work later: keep it.",
	string(classify.Block): "The sender was refused: mend the sending side and keep the address.",

	string(dsn.KindDSN):         "A delivery report as RFC 3464 has it.",
	string(dsn.KindText):        "A bounce in words only, without a report.",
	string(dsn.KindFeedback):    "A complaint: a reader or the reader's provider reports a message as abuse (RFC 5965).",
	string(dsn.KindDisposition): "A receipt that says what became of a message (RFC 8098).",
	string(dsn.KindAutoReply):   "An automatic answer, such as an absence note (RFC 3834).",
	string(dsn.KindNone):        "Ordinary mail, which passes as it is.",

	string(origin.Ours):     "The message that came back is proved to be ours, by a ticket, a DKIM signature or because this server made the bounce.",
	string(origin.Foreign):  "What came back shows that it is not ours: somebody else used our addresses.",
	string(origin.Unproven): "Too little came back to tell.",
}

// stageMeanings say what happened where an error is counted.
var stageMeanings = map[string]string{
	"accept":    "A connection could not be accepted.",
	"negotiate": "The mail server does not offer what is needed.",
	"frame":     "A peer breaks the milter protocol.",
	"read":      "A connection broke within a command.",
	"timeout":   "A peer was silent or slow for too long.",
	"write":     "An answer could not be sent.",
	"inspect":   "A message could not be inspected; it passed untagged.",
	"busy":      "A message's turn to be inspected did not come in time; it passed untagged.",
	"forged":    "A message has more forged headers than can be removed.",
	"session":   "A session failed and was closed. This is a bug: please report what the log says.",
	"listen":    "A socket was lost.",
	"reload":    "A new configuration was refused.",
	"record":    "What a message reports could not be recorded; it passed.",
	"action":    "What else is done with a message could not be decided; it passed with headers alone.",
	"log":       "A line of the log could not be written.",
}

// wordPage is what the page of words shows.
type wordPage struct {
	Title, Host, Root, Here string
	Groups                  []group
}

func (b *Board) wordPage() *wordPage {
	w := b.words.Load()
	stages := make([]string, 0, len(b.errors))
	for s := range b.errors {
		stages = append(stages, s)
	}
	slices.Sort(stages)
	p := &wordPage{Title: "What the words mean – bounce-milter", Root: "../", Here: "words", Groups: []group{
		{"categories", "Categories", "Which class of bounce it is. Count and route by it.", explain("category-", categories, meanings)},
		{"types", "Types", "What to do about the address.", explain("type-", types, meanings)},
		{"kinds", "Kinds of messages", "What a message is.", explain("kind-", dsn.Kinds(), meanings)},
		{"origin", "Origins", "Whether the mail that came back is ours, where [origin] is configured.", explain("origin-", origins, meanings)},
		{"stages", "Errors", "Where something went wrong. The mail was delivered all the same; the log says more.", explain("stage-", stages, stageMeanings)},
	}}
	reasons := group{"reasons", "Reasons", "What happened, and what to do. A reason belongs to a category and has a type, which is milder where the mail is only delayed.", nil}
	for _, r := range w.Reasons {
		reasons.Entries = append(reasons.Entries, entry{"reason-" + r.ID, r.ID, string(r.Category) + ", " + string(r.Type), r.Meaning, r.Advice})
	}
	p.Groups = append(p.Groups, reasons)
	if f := b.status.Load(); f != nil {
		p.Host = (*f)().Host
	}
	return p
}

func explain[T ~string](prefix string, names []T, meanings map[string]string) []entry {
	list := make([]entry, 0, len(names))
	for _, name := range names {
		list = append(list, entry{prefix + string(name), string(name), "", meanings[string(name)], ""})
	}
	return list
}
