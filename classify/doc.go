// Package classify names bounces: the bytes of one message in, a verdict on each
// recipient out. A verdict has a category (one of nine, or unclassified), a type (is the
// address dead, may it work later, was the sender refused) and a reason (one of some
// forty), and says which evidence decided.
//
//	engine, err := classify.New(classify.Options{})
//	if err != nil {
//		return err
//	}
//	result := engine.Classify(ctx, message)
//	for _, r := range result.Recipients {
//		if r.Type == classify.Hard {
//			unsubscribe(r.Address)
//		}
//	}
//
// Mail that is no bounce has no recipients, and result.Kind says what it is.
// [Engine.ClassifyReply] judges a bare reply, such as a mail client or a log has.
// [Engine.Explain] and [Engine.ExplainMessage] say why a verdict is as it is, and what
// to do about it. Package mailbox reads messages from files, mboxes and Maildirs. Use
// package dsn to read what a report says without a verdict.
//
// # An engine
//
// [New] loads the knowledge that is built into the program (package rules), which
// takes some tenths of a second and some megabytes: make one engine and keep it. An
// engine does not change, and serves any number of goroutines at once. For new rules
// make a new engine; messages that the old one is reading end under the old rules. What
// an engine hands out is the caller's own copy.
//
// [Options].RulesDir names a folder with rule files of your own, which decide before the
// built-in ones; docs/rules.md in the repository says how to write them. They may also
// add providers and kinds of notices. If you choose by the header which messages to
// keep, ask the gate of [Engine.Reader], which knows those kinds too. [Check] lists all
// that is wrong with such a folder and with the built-in rules; New refuses a folder
// that has a mistake in it.
//
// # Strangers, limits and errors
//
// Bounces are written by strangers, and anybody can send something that looks like
// one. Nothing here panics whatever the bytes are. [Options].Limits bound octets, parts,
// depth, recipients and, above all, work: reading and judging a message takes from one
// budget. When it is spent, the verdict is from what was read by then, it is never hard,
// and [Result].Truncated is true. ClassifyReply, Judge and Explain have no budget: they
// look at a bounded part of a reply, in linear time.
//
// Classify returns no error. A broken message is read as far as possible. When the
// context ends, so does the reading, with what was found by then. New returns an error that holds
// [Problems] when rules or data are wrong: one for each mistake, with its place and
// how to mend it.
//
// A bounce need not be the answer to a message of yours, for whoever knows an address
// can write a report about it. Compare Result.ReturnedMessageID with what you sent
// before you take an address off a list.
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
// Words are looked for in the innermost reply first (a server that passes on another's
// refusal wraps it in words of its own), then in all of the reply, then in the notice.
// Stock phrases, greetings among them, count only if no other rule matched in any of
// these, and never in what is wrapped around another reply; those marked last come
// after all others. A rule whose type is hard does not match in a
// clause about the sender.
//
// If several rules match in one place, a rule for the provider that refused comes
// before a general one; then the rule with more conditions (one each for code, status,
// remote_mta, any together with token, near, regex, about, and every phrase of all;
// what a rule excludes does not count); then the one whose longest phrase that occurs
// has more characters; then file and line. The same input always gives the same answer.
//
// Phrases are found in words only: in lower case, with single spaces and plain quotes,
// and never within addresses, host names and URLs. A phrase that begins with a letter
// of ASCII or a digit must begin a word, or a part of one as in MailboxFull; what
// excludes a rule, and phrases of languages with compounds, may begin within words.
// Tokens are found within addresses, hosts and URLs too. The words of a wrapper itself,
// and notes that a server adds behind a refusal ("in reply to RCPT TO"), are hidden
// from phrases that do not name them.
//
// Last, the type is made safe, so that no living address is called dead. A delay is
// soft. A hard reason is soft while the server asks to try again and nobody has given
// up. It is a block if the reply was given before any recipient was named, names only
// the sender's address, or has nothing but a code of policy. An address that has another
// fate in the same report is soft. [Engine.Explain] shows all of this for one reply.
//
// # Stability
//
// This package and dsn, mailbox and reply keep Semantic Versioning: docs/api in the
// repository lists every name that is promised, and a test holds the code to it. Of
// package rules, the types that this package hands out are promised. The values of
// [Category], [Type] and [Rung] stay, and so do the keys of the JSON that Result and
// Explanation marshal to. More of each may come: a switch over them needs a default.
//
// Verdicts are not part of the promise: with any release a reply may be understood
// better. [Engine.Version] changes whenever the knowledge does. Explanation.Why and other
// sentences are for people and change at any time. So do the ids of the built-in rules;
// [Engine.RuleIDs] lists them.
package classify
