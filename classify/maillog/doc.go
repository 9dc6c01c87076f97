// Package maillog reads the logs of mail servers: what became of each attempt to deliver
// a message to a recipient.
//
// It reads the lines that Postfix, Exim and Sendmail write about deliveries, in files of
// syslog daemons (RFC 3164, RFC 5424, ISO 8601 time stamps), in Exim's own log file, and
// in what journalctl prints. A [Parser] reads line by line; all other lines, of whatever
// program, are ignored and cost little. What a reply means is the business of package
// classify; a [Judge] asks it.
//
// Much of a line was written by strangers: the remote server wrote the reply, and the sender
// chose the address. The fields of a line are read from left to right up to the reply, so
// that a reply cannot pretend to be another field. Strings are limited in length and contain
// no control characters.
package maillog
