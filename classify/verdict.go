// Package classify names bounces: bytes of a message in, verdicts out.
//
// One pipeline serves the daemon and the command line: package dsn reads the
// report, an [Engine] judges the evidence about each recipient and says why.
// The knowledge it judges by is data (package rules): text rules, the code
// table, registered codes. Nothing here knows a milter, a configuration file
// or a metric.
//
// # What decides
//
// The evidence is a ladder; the first rung that has an answer decides:
//
//  1. admin: an administrator's rule.
//  2. text: a built-in rule. Words beat codes.
//  3. code: the published table's row of the SMTP code with the enhanced code.
//  4. status: what the enhanced code is registered for. X.0.0 says nothing.
//  5. smtp: the table's row of the bare SMTP code, then what that code is
//     registered for.
//  6. none: unclassified.
//
// Words are looked for in the innermost reply first (a server that passes
// another's refusal on wraps it in words of its own), then in all of the
// reply, then in the notice. Stock phrases, greetings among them, are
// considered only when no other rule matched in any of these, and never in
// what is wrapped around another reply; those that are last, behind all others.
// A rule whose type is hard does not match in a clause about the sender.
//
// Among the rules that match in one place, a rule for the provider that
// refused comes before a general one; then the one with more conditions (one
// each for code, status, any together with token, near, regex, about, and every phrase
// of all; what a rule excludes counts nothing); then the one whose longest phrase
// that occurs has more characters; then file and line. The same input always
// gives the same answer.
//
// Phrases occur in words only: in lower case, with single spaces and plain
// quotes, and nowhere within addresses, host names and URLs. A phrase that
// begins with a letter of ASCII or a digit begins a word, or a part of one as in
// MailboxFull; what excludes a rule, and phrases of languages with compounds, may
// begin within words. Tokens occur within addresses, hosts and URLs too. The words of a wrapper itself, and notes that a server adds behind
// a refusal ("in reply to RCPT TO"), are hidden from phrases that do not name
// them. See [Engine.Explain] for all of this about one reply, and safe in
// this package for how the type is kept from calling a living address dead.
package classify

import (
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// Category is the class of a bounce, one of the nine of the published
// classification, or Unclassified. Administrators write filters against
// these names; they do not change.
type Category string

// The categories.
const (
	InvalidAddress   Category = "invalid-address"
	Mailbox          Category = "mailbox"
	MailboxFull      Category = "mailbox-full"
	RateLimit        Category = "rate-limit"
	RecipientError   Category = "recipient-error"
	Rejection        Category = "rejection"
	DMARC            Category = "dmarc"
	SenderReputation Category = "sender-reputation"
	Blocked          Category = "blocked"
	Unclassified     Category = "unclassified"
)

// Categories lists every category, Unclassified last.
func Categories() []Category {
	return []Category{InvalidAddress, Mailbox, MailboxFull, RateLimit, RecipientError,
		Rejection, DMARC, SenderReputation, Blocked, Unclassified}
}

// Type says what the sender should do about the address.
type Type string

// The types.
const (
	Hard  Type = "hard"  // the address will not work: stop mailing it
	Soft  Type = "soft"  // it may work later: keep it
	Block Type = "block" // the sender was refused: fix the sending side, keep it
)

// Types lists every type.
func Types() []Type { return []Type{Hard, Soft, Block} }

// Rung is a step of the evidence ladder: the kind of evidence that decided.
type Rung string

// The rungs, from the one that decides first to the one that decides last.
const (
	RungAdmin  Rung = "admin"  // an administrator's rule
	RungText   Rung = "text"   // a built-in text rule
	RungCode   Rung = "code"   // a row of the code table with an enhanced code
	RungStatus Rung = "status" // the enhanced code's registered meaning
	RungSMTP   Rung = "smtp"   // the SMTP code's row without one, or its registered meaning
	RungNone   Rung = "none"   // nothing decided: unclassified
)

// Rungs lists the ladder from top to bottom.
func Rungs() []Rung {
	return []Rung{RungAdmin, RungText, RungCode, RungStatus, RungSMTP, RungNone}
}

// Evidence is what is known about one refused recipient.
type Evidence struct {
	Reply        string       // the remote server's words, codes and all, any number of lines
	Notice       string       // what the notice says about this recipient beside the reply
	Status       reply.Status // enhanced status code as reported, the zero one where none
	SMTPCode     int          // SMTP reply code as reported, 0 where none
	Action       dsn.Action   // "" is taken as failed
	RemoteMTA    string
	ReportingMTA string
	Reporter     string // domain of whoever sent the report, "" where it is not known
	Recipient    string // whom the message was for, "" where that is not known
	Sender       string // who sent it by its envelope, "" likewise
	Author       string // who sent it by its header, "" likewise

	reported *dsn.Recipient // who has Reply parsed already, nil of a bare reply
}

// Verdict is what a piece of evidence means.
type Verdict struct {
	Category Category `json:"category"`
	Type     Type     `json:"type"`
	Reason   string   `json:"reason"`
	Provider string   `json:"provider"` // "other" where none was recognised
	Rule     string   `json:"rule"`     // what decided: a rule's id, or the code ("550 5.1.1"), or ""
	Evidence Rung     `json:"evidence"`
}

// Recipient is the verdict on one recipient beside what was reported of it.
// A success (delivered, relayed, expanded) has empty category, type, reason.
type Recipient struct {
	Address    string     `json:"recipient"`          // bare, "" where the report names nobody
	Original   string     `json:"original_recipient"` // as the sender wrote it, "" where that is the same or unknown
	Action     dsn.Action `json:"action"`
	Category   Category   `json:"category"`
	Type       Type       `json:"type"`
	Reason     string     `json:"reason"`
	Status     string     `json:"status"`
	SMTPCode   int        `json:"smtp_code"`
	RemoteMTA  string     `json:"remote_mta"`
	Provider   string     `json:"provider"`
	Diagnostic string     `json:"diagnostic"`
	Rule       string     `json:"rule"`
	Evidence   Rung       `json:"evidence"`
}

// Result is the verdict on one message.
type Result struct {
	Kind              dsn.Kind    `json:"kind"`
	ReportingMTA      string      `json:"reporting_mta"`
	EnvelopeID        string      `json:"envelope_id"`
	ReturnedMessageID string      `json:"returned_message_id"`
	Recipients        []Recipient `json:"recipients"`

	// Dropped counts recipients beyond the limit, Truncated tells that a
	// limit left something unread; neither is part of the JSON.
	Dropped   int  `json:"-"`
	Truncated bool `json:"-"`
	// Work is what the message cost, in the units of [dsn.Report].
	Work int `json:"-"`
	// Shadowed lists the administrator's rules marked shadow that would
	// have decided, one entry a recipient they match.
	Shadowed []string `json:"-"`
}
