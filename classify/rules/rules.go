// Package rules is what bounce-milter knows about bounces, as data: reasons,
// text rules, providers, wrappers around replies, and the tables of codes. The
// files are embedded; an administrator's own rule files join them.
//
// Nothing here judges. The package reads the data strictly (a key that it does not know
// is an error), says for every mistake in which file and line it is and how to mend it,
// and hands plain values to package classify.
//
// Importers get Rule, Reason and the types in them from an engine, as copies. Only these
// keep Semantic Versioning (docs/api/rules.txt). Load, Set and the rest serve package
// classify alone and may change at any time.
//
//	reasons.toml      the reasons, with category, type, meaning and advice
//	advice.toml       what is said for all reasons
//	providers/*.toml  who refuses mail: MX suffixes and words of their replies
//	wrappers.toml     where a quoted reply begins, and which words are about whom
//	lists.toml        phrases that several rules have in common
//	text/*.toml       the text rules
//	codes/seed.tsv    the published table: category by SMTP and enhanced code
//	codes/status.tsv  registered enhanced status codes
//	codes/smtp.tsv    registered SMTP reply codes
//	codes/gists.tsv   the seed table's gists that are no reasons
package rules

import (
	"cmp"
	"embed"
	"slices"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

//go:embed reasons.toml advice.toml providers/*.toml wrappers.toml lists.toml text/*.toml codes/*.tsv
var embedded embed.FS

// Unknown is the reason that says nothing; its category is "unclassified".
const Unknown = "unknown"

// OtherProvider stands for every provider that is not in providers/*.toml.
const OtherProvider = "other"

// Reason is one thing that can have happened.
type Reason struct {
	ID       string `json:"id"`
	Category string `json:"category"`
	Type     string `json:"type"`     // default type: hard, soft or block
	GivenUp  bool   `json:"given_up"` // a notice of delay cannot mean it, whatever it says
	Meaning  string `json:"meaning"`  // one sentence: what happened
	Address  ByType `json:"address"`  // what to do about the address, by the verdict's type
	Advice   string `json:"advice"`   // what to do about the cause, whatever the type
}

// ByType is a text for each type that a verdict can have.
type ByType struct {
	Hard  string `json:"hard"`
	Soft  string `json:"soft"`
	Block string `json:"block"`
}

// Of returns the text for a type, "" for anything else.
func (t ByType) Of(typ string) string {
	switch typ {
	case "hard":
		return t.Hard
	case "soft":
		return t.Soft
	case "block":
		return t.Block
	}
	return ""
}

// or fills what t leaves empty from u.
func (t ByType) or(u ByType) ByType {
	return ByType{cmp.Or(t.Hard, u.Hard), cmp.Or(t.Soft, u.Soft), cmp.Or(t.Block, u.Block)}
}

// Caution is what is said before the meaning of a reason, and before the advice, if
// codes decided.
type Caution struct {
	Meaning string
	Advice  string
}

// Provider is one operator of mail servers.
type Provider struct {
	Name      string   `json:"name"`
	MX        []string `json:"mx"`        // suffixes of the Remote-MTA and of hosts named before a reply
	Reply     []string `json:"reply"`     // words in its replies
	Reporting []string `json:"reporting"` // suffixes of the Reporting-MTA, the weakest sign
}

// OwnWord is a word of replies by which an administrator tells a provider.
type OwnWord struct {
	Text string
	File string
	Line int
}

// Wrapper says after which words another server's reply is quoted.
type Wrapper struct {
	Marker []string
	Code   bool   // only if the quoted reply begins with an SMTP code
	Skip   string // the quoted reply begins behind the next occurrence of this
}

// Tail is a note that a server adds behind the reply that it passes on.
type Tail struct {
	Marker []string
	End    string   // sign with which the note ends, "" for the end of the text
	Words  []string // a phrase that holds one of these may match in the note
}

// Witness lists words that tell whom a refusal is about. They choose no reason. If codes
// decide and the reply is about the sender, they keep the verdict from being hard.
type Witness struct {
	Recipient []string // the reply speaks of a recipient, a user, a mailbox
	RCPT      []string // the reply answers RCPT TO
	Sender    []string // the reply speaks of the sender or the message
	Before    []string // the reply came before any recipient was named
}

// Elsewhere lists words that make a clause one about something else than the recipient.
// Rules whose type is hard do not match in such a clause.
type Elsewhere struct {
	Sender    []string // the sender is what the clause is about
	Thing     []string // some thing is, if it stands before the rule's words
	Unless    []string // words that contain one of these and mean something else
	Subject   []string // some thing is, if it stands right before them, perhaps with one of Verbs between
	Verbs     []string
	Behind    []string // some thing is, if it stands right behind them: "invalid user database"
	Recipient []string // behind the sender: the clause is about the recipient after all
}

// Compound is a word within which a phrase may begin: "mail" in "email".
type Compound struct {
	Head, Tail string
}

// Rule is one text rule. Phrases are in the form in which texts are matched:
// lower case, single spaces, straight quotes.
type Rule struct {
	ID          string     `json:"id"`
	Reason      string     `json:"reason"`
	Type        string     `json:"type,omitempty"` // overrides the reason's type
	Providers   []string   `json:"provider,omitempty"`
	Codes       []string   `json:"code,omitempty"`
	Statuses    []string   `json:"status,omitempty"`
	RemoteMTAs  []string   `json:"remote_mta,omitempty"` // one of these hosts, or one below it, refused
	Any         []string   `json:"any,omitempty"`
	All         []string   `json:"all,omitempty"`
	None        []string   `json:"none,omitempty"`
	Tokens      []string   `json:"token,omitempty"`
	Near        []string   `json:"near,omitempty"` // one of these near a phrase of Any
	Regex       string     `json:"regex,omitempty"`
	About       string     `json:"about,omitempty"`  // whom the reply must name: one of the Abouts
	Within      bool       `json:"within,omitempty"` // phrases may begin within a word
	StockPhrase bool       `json:"stock_phrase,omitempty"`
	Last        bool       `json:"last,omitempty"` // a stock phrase behind all others
	Shadow      bool       `json:"shadow,omitempty"`
	Replaces    bool       `json:"replaces,omitempty"` // is meant to replace the built-in rule with its id
	Admin       bool       `json:"admin,omitempty"`    // from the administrator's rules
	Examples    []Example  `json:"examples"`
	NotExamples []Example  `json:"not_examples,omitempty"` // must not reach this rule
	Accepted    []Accepted `json:"accepted,omitempty"`
	File        string     `json:"file"`
	Line        int        `json:"line"`
}

// Clone returns a copy that shares nothing with the rule.
func (r *Rule) Clone() Rule {
	c := *r
	for _, list := range []*[]string{&c.Providers, &c.Codes, &c.Statuses, &c.RemoteMTAs,
		&c.Any, &c.All, &c.None, &c.Tokens, &c.Near} {
		*list = slices.Clone(*list)
	}
	c.Examples, c.NotExamples = slices.Clone(r.Examples), slices.Clone(r.NotExamples)
	c.Accepted = slices.Clone(r.Accepted)
	return c
}

// Compiled is a rule with what matching and checking need beside its words.
type Compiled struct {
	Rule

	CodeMatch   []CodePattern   // Codes, parsed
	StatusMatch []StatusPattern // Statuses, parsed
	Written     [][]toml.Text   // the lists of phrases and tokens, with their lines
	Broken      bool            // something of it could not be read

	later *laterExamples // nil if the examples were read
}

// PhraseLine returns the line of a phrase, or of the name of its list; 0 if it is not
// the rule's.
func (c *Compiled) PhraseLine(phrase string) int {
	for _, list := range slices.Backward(c.Written) {
		for _, t := range list {
			if t.S == phrase {
				return t.Line
			}
		}
	}
	return 0
}

// Whom a reply must name for a rule with about, and not the recipient. With AboutLocal
// it is about a recipient, and need not name anybody.
const (
	AboutSender       = "sender"        // the sender's address
	AboutSenderDomain = "sender-domain" // the sender's domain, other than in an address
	AboutLocal        = "local"         // a recipient in the reporting host's own domain
	AboutOtherHost    = "other-host"    // a host, and none that is the recipient's domain
)

// NearAddress stands in Near for an address.
const NearAddress = "@"

// Example is a reply that must reach its rule before every other, or must not
// reach it.
type Example struct {
	Reply        string `json:"reply"`
	Notice       string `json:"notice,omitempty"`
	Sender       string `json:"sender,omitempty"`    // of the message that was refused
	Recipient    string `json:"recipient,omitempty"` // that it was refused for
	RemoteMTA    string `json:"remote_mta,omitempty"`
	ReportingMTA string `json:"reporting_mta,omitempty"`
	Provider     string `json:"provider,omitempty"` // taken as recognised
	Status       string `json:"status,omitempty"`
	Code         int    `json:"code,omitempty"`
	Action       string `json:"action,omitempty"`
	Line         int    `json:"line"`
}

// Accepted is a phrase that alone goes to another rule, with another reason, and why
// that is right.
type Accepted struct {
	Phrase string `json:"phrase"`
	Rule   string `json:"rule"`
	Why    string `json:"why"`
	Line   int    `json:"line"`
}

// Set is all of the data.
type Set struct {
	Reasons   []Reason
	Providers []Provider
	Wrappers  []Wrapper
	Tails     []Tail
	Compounds []Compound
	Naming    []string // behind one of these stands a name
	Mute      []string // words that explain nothing
	Greetings []string // words that address the reader
	Witness   Witness
	Elsewhere Elsewhere
	Light     []string    // words that may stand between phrases near each other
	Rules     []*Compiled // in the order of files and lines, the administrator's last
	Broken    []*Compiled // rules in which something could not be read, be they in Rules or not
	Bare      Caution     // if codes decided and there were no words
	Unread    Caution     // if codes decided beside words that no rule knows
	Codes     *Codes
	OwnWords  []OwnWord
	Own       []string // the administrator's files that were read
	Warnings  Problems // what works, but may not be meant
	Notices   []File   // the administrator's files that teach notices in words: package dsn reads that
	Version   string   // short hash over all files that were read
}
