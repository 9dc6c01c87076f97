package maillog

import (
	"time"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// Format is the program that wrote a line.
type Format string

// The formats.
const (
	Postfix  Format = "postfix"
	Exim     Format = "exim"
	Sendmail Format = "sendmail"
)

// Formats lists every format.
func Formats() []Format { return []Format{Postfix, Exim, Sendmail} }

// Kind is the kind of a verdict on a line of a log, where a verdict on a message has the
// kind of the message.
const Kind dsn.Kind = "log"

// Result is what became of an attempt.
type Result string

// The results.
const (
	Sent     Result = "sent"     // delivered, or handed to the next server
	Deferred Result = "deferred" // to be tried again
	Bounced  Result = "bounced"  // refused for good, and returned to the sender
	// Expired: the server gave up after its last attempt was deferred. Postfix and Sendmail
	// say so about a whole message, that is, about all recipients who have not got it yet;
	// Recipient is "".
	Expired Result = "expired"
	// Waiting: the server did not try, because it is not yet time. Exim says so.
	Waiting Result = "waiting"
	// Passed: handed to a content filter on the same machine, which hands it back as a
	// new message. The fate of the recipient is that of the new message.
	Passed Result = "passed"
	// Probed: Postfix asked whether an address exists, without a message. Only a refusal
	// makes an entry; an address that exists makes none.
	Probed Result = "probed"
	// Refused: this server refused mail that came in.
	Refused Result = "refused"
	// Done: Exim has nothing more to do for the message. Recipient is "".
	Done Result = "done"
)

// Results lists every result.
func Results() []Result {
	return []Result{Sent, Deferred, Bounced, Expired, Waiting, Passed, Probed, Refused, Done}
}

// Failed reports whether the attempt left the recipient without the message.
func (r Result) Failed() bool { return r == Deferred || r == Bounced || r == Expired }

// Entry is what one line says about one recipient. A string is "" and a number 0 where
// the line does not say.
type Entry struct {
	Format  Format
	Time    time.Time // when the line was written; zero where it has no time stamp
	Host    string    // name of the machine that wrote it
	Program string    // as syslog knows it: "postfix/smtp", "exim", "sm-mta"
	PID     string

	QueueID   string
	Recipient string // bare address, or as the program wrote it: a user, a file, a command
	Original  string // address that the message was sent to, "" where it is Recipient
	Result    Result

	Relay        string        // host name of the server that was asked, "" where none was reached
	RelayAddress string        // its IP address
	Delay        time.Duration // since the message arrived; 0 where the line does not say
	Status       reply.Status  // enhanced code that the program states (RFC 3463)
	Code         int           // three-digit code of Reply (RFC 5321 section 4.2)

	// Reply is what the remote server answered, "" where it did not, and after a
	// successful delivery by some programs.
	Reply string
	// Words is all that the program says about the result, the reply included.
	Words string
}
