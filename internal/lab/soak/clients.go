package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// client sends mail to one mailbox over one connection after the other, several
// messages on each, until ctx ends.
func (s *setting) client(ctx context.Context, number int, to string) {
	service := []string{"unix", "tcp"}[number%2]
	for n := 0; ctx.Err() == nil; {
		up := s.harm.epoch()
		c, err := lab.DialSMTP(s.postfix.Addr(service))
		if err != nil {
			s.ledger.oddly(fmt.Sprintf("client %d: %v", number, err))
			return
		}
		for range 1 + rand.IntN(30) {
			if ctx.Err() != nil {
				break
			}
			n++
			if rand.IntN(20) == 0 {
				s.abort(c, to)
			}
			if err := s.one(c, fmt.Sprintf("%d.%d", number, n), to, up); err != nil {
				s.ledger.oddly(fmt.Sprintf("client %d: %v", number, err))
				break
			}
		}
		if rand.IntN(4) == 0 {
			c.Close() // like a client that has lost patience
		} else if err := c.Quit(); err != nil {
			s.ledger.oddly(fmt.Sprintf("client %d: %v", number, err))
		}
	}
}

// forgery is a field that a message from outside must not keep.
var forgery = []string{"X-Bounce-Category: forged", "X-Other: kept", "x-bounce-type: forged", "X-Bounce-Category: forged"}

// replies are a few refusals that a bounce may carry.
var replies = []lab.Refused{
	{Status: "5.1.1", RemoteMTA: "mx.remote.test", Diagnostic: "550 5.1.1 <ADDR>: Recipient address rejected: User unknown"},
	{Status: "5.2.2", RemoteMTA: "mx.remote.test", Diagnostic: "552 5.2.2 <ADDR>: user is over quota"},
	{Status: "5.7.1", RemoteMTA: "gmail-smtp-in.l.google.com", Diagnostic: "550-5.7.26 Unauthenticated email from example.org is not accepted due to 550 5.7.26 domain's DMARC policy."},
	{Action: "delayed", Status: "4.4.1", Diagnostic: ""},
	{Status: "5.0.0", RemoteMTA: "mx.remote.test", Diagnostic: "554 no words that anybody knows"},
}

// one sends one message of a random kind. up is the daemon's epoch when the connection was
// opened.
func (s *setting) one(c *lab.SMTP, number, to string, up uint64) error {
	m := lab.Mail{To: []string{to}}
	var k kind
	var id string
	switch roll := rand.IntN(100); {
	case roll < 45:
		k, id = bounce, "<b-"+number+"@mx.remote.test>"
		var about []lab.Refused
		for range 1 + rand.IntN(3) {
			r := replies[rand.IntN(len(replies))]
			r.Address = fmt.Sprintf("user%d@remote.test", rand.IntN(1000))
			r.Diagnostic = strings.ReplaceAll(r.Diagnostic, "ADDR", r.Address)
			about = append(about, r)
		}
		var extra []string
		if roll < 10 {
			extra = forgery
		}
		m.Data = lab.Bounce("b-"+number, to, extra, about...)
		if roll < 5 {
			big := strings.Repeat(strings.Repeat("z", 76)+"\n", 5000)
			m.Data = []byte(strings.Replace(string(m.Data), "\nHello.\n", "\n"+big, 1))
		}
	case roll < 50:
		k, id = bounce, "<w-"+number+"@mx.remote.test>"
		m.Data = lab.WordsOnly("w-"+number, to, "user@remote.test", "550 sorry, no mailbox here by that name. (#5.1.1)")
	case roll < 60:
		k, id = forged, "<f-"+number+"@remote.test>"
		m.From, m.Data = "ann@remote.test", lab.Ordinary("f-"+number, to, forgery, rand.IntN(20_000))
	case roll < 65:
		k, id = ownBounce, "<own-"+number+"@remote.test>"
		m.From, m.To = to, []string{"nobody@remote.test"}
		m.Data = lab.Ordinary("own-"+number, "nobody@remote.test", nil, 500)
	default:
		k, id = ordinary, "<o-"+number+"@remote.test>"
		m.From, m.Data = "ann@remote.test", lab.Ordinary("o-"+number, to, nil, rand.IntN(20_000))
	}
	s.ledger.sent(id, k, up)
	if _, err := c.Send(m); err != nil {
		return err
	}
	s.ledger.accepted(id)
	return nil
}

// abort begins a message and aborts it.
func (s *setting) abort(c *lab.SMTP, to string) {
	lines := []string{"MAIL FROM:<>", "RCPT TO:<" + to + ">", "RSET"}
	c.Write([]byte(strings.Join(lines, "\r\n") + "\r\n"))
	for range lines {
		c.Read() // an error here shows at the next message
	}
}
