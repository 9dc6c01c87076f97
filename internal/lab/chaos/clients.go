package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/mta"
)

// perConnection is how many bounces a client sends over one connection.
const perConnection = 40

// client sends bounces, as many as there are tokens, over one connection after the
// other until ctx ends. A bounce that is cut off is not sent again.
func (r *run) client(ctx context.Context, socket string) {
	network := "tcp"
	if strings.HasPrefix(socket, "/") {
		network = "unix"
	}
	for ctx.Err() == nil {
		c, err := mta.Dial(network, socket)
		if err != nil { // the daemon was killed and is not back
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
			continue
		}
		r.session(ctx, c, r.ledger.connection())
		c.Close()
	}
}

func (r *run) session(ctx context.Context, c *mta.Client, connection int) {
	for n := range perConnection {
		select {
		case <-ctx.Done():
			return
		case <-r.tokens:
		}
		b, raw := r.bounce(connection, n, "bounces@lab.test")
		m := mta.Parse(mta.Envelope{QueueID: fmt.Sprintf("4C%dN%d", connection, n), To: "bounces@lab.test"}, raw)
		began := time.Now()
		if err := c.Send(m); err != nil {
			return
		}
		if r.fatal.CompareAndSwap(true, false) {
			r.daemon.Kill() // first of all
			r.ledger.accepted(b, time.Since(began))
			r.killed <- struct{}{}
			return
		}
		r.ledger.accepted(b, time.Since(began))
	}
}

// replies are what bounces quote, of each type one.
var replies = []lab.Refused{
	{Status: "5.1.1", RemoteMTA: "mx.remote.test", Diagnostic: "550 5.1.1 <ADDR>: Recipient address rejected: User unknown"},
	{Status: "5.2.2", RemoteMTA: "mx.remote.test", Diagnostic: "552 5.2.2 <ADDR>: user is over quota"},
	{Status: "5.7.1", RemoteMTA: "gmail-smtp-in.l.google.com", Diagnostic: "550 5.7.26 Unauthenticated email from example.org is not accepted due to domain's DMARC policy."},
	{Action: "delayed", Status: "4.4.1", RemoteMTA: "mx.remote.test", Diagnostic: "421 4.4.1 try again later"},
}

// bounce makes the next bounce of a connection: a report of one to three recipients, or
// one in words, or a complaint.
func (r *run) bounce(connection, n int, to string) (*bounce, []byte) {
	id := fmt.Sprintf("c%d-%d", connection, n)
	roll := connection*perConnection + n
	switch roll % 10 {
	case 8:
		b := r.ledger.sent(connection, n, 1)
		return b, lab.WordsOnly(id, to, b.recipients[0], "550 sorry, no mailbox here by that name. (#5.1.1)")
	case 9:
		b := r.ledger.sent(connection, n, 1)
		return b, lab.Complaint(id, to, b.recipients[0])
	}
	b := r.ledger.sent(connection, n, 1+roll%3)
	var about []lab.Refused
	for i, to := range b.recipients {
		f := replies[(roll+i)%len(replies)]
		f.Address, f.Diagnostic = to, strings.ReplaceAll(f.Diagnostic, "ADDR", to)
		about = append(about, f)
	}
	return b, lab.Bounce(id, to, nil, about...)
}

// mail sends bounces through Postfix, while nobody kills the daemon: what Postfix takes
// then, the daemon has accepted.
func (r *run) mail(n int) error {
	c, err := lab.DialSMTP(r.postfix.Addr("smtp"))
	if err != nil {
		return err
	}
	defer c.Close()
	connection := r.ledger.connection()
	for i := range n {
		b, raw := r.bounce(connection, i, r.to)
		began := time.Now()
		if _, err := c.Send(lab.Mail{To: []string{r.to}, Data: raw}); err != nil {
			return err
		}
		r.ledger.accepted(b, time.Since(began))
	}
	return c.Quit()
}
