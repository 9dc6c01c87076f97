// Package notice reads bounces in words only: notices of qmail, Exim, old Sendmail,
// Exchange, and of everything else that writes no delivery-status part (RFC 3464). It
// finds the recipients that a notice names, the reply that it quotes for each, and its
// own words about each. It also tells bounces from automatic replies (RFC 3834), from
// spam that imitates them, and from other mail.
//
// Its knowledge is data, in the folder data: the kinds of notices with the phrases that
// they consist of (a [[format]]), the signs in a header (a [[cue]]) with their weights,
// and the words of automatic replies. Every format has an example, which is tested.
//
// A notice is read in four steps:
//
//  1. The text is folded and cut where the returned message begins; phrases and
//     addresses in it are found and marked ([Data.Read]).
//  2. An address is a recipient if a phrase before it, or its place, says so.
//  3. What follows the address, up to the next recipient, is about this recipient. In an
//     SMTP dialogue ("<<< 550 …") the commands tell which recipient a reply is for.
//  4. Header and text together decide whether the message is a bounce ([Notice.Bounce]).
//
// The text was written by a stranger: reading costs no more than the work budget allows,
// and what is kept of the text is bounded.
//
// The package is a part of package dsn, which importers use. Nothing in it is promised
// to stay.
package notice
