// Package notice reads bounces that are words only: notices of qmail, Exim, old
// Sendmail, Exchange and of everything that writes no delivery-status part (RFC
// 3464). It finds whom a notice names, the reply that it quotes for each, and what
// it says itself; and it tells bounces from automatic replies (RFC 3834), spam that
// imitates them, and other mail.
//
// What it knows is data, in the folder data: the kinds of notices with the phrases
// that they are made of (a [[format]]), the signs in a header (a [[cue]]) with what
// each weighs, and the words of automatic replies. Every format has an example that
// is tested.
//
// A notice is read in four steps:
//
//  1. Its text is folded, cut where the returned message begins, and marked: where
//     phrases and addresses stand ([Data.Read]).
//  2. The marks before an address, or its place, make it a recipient's.
//  3. What stands between it and the next is what is said of it; an SMTP dialogue
//     ("<<< 550 …") names whom each reply is for.
//  4. Header and text together decide whether it is a bounce ([Notice.Bounce]).
//
// The text was written by a stranger: reading costs no more than a budget of work
// allows, and what is kept of it is bounded.
//
// The package is a part of package dsn, which is what importers use: nothing here is
// promised to stay.
package notice
