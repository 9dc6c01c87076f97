// Package origin says whether a returned message is one of ours, and to whom it went.
//
// Anybody can write a bounce. Three things prove that one is about mail of ours: a ticket,
// which is a header field that [Keys.Sign] makes for outgoing mail and that only the holder
// of the key can make; a DKIM signature (RFC 6376, RFC 8463) of one of our domains over the
// returned header; and the address to which the bounce came, if its sender made it with a
// MAC, see [Keys.VERP]. The caller must know whether this host made the bounce itself.
//
// A [Judge] holds what is ours. It examines the returned message once and then answers for
// each recipient of the report. A message that cannot be proved is unproven; it is foreign
// only if it shows that it came from elsewhere.
//
// Everything it reads was written by a stranger. The work is linear in the octets of the
// header and body, and only a few tickets, signatures and keys in DNS are looked at.
package origin
