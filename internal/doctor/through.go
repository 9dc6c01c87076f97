package doctor

import (
	"errors"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/trial"
)

// intake is where this host's Postfix takes in mail, and a recipient whose mail it throws
// away.
type intake struct {
	address, recipient string
}

// door finds out where Postfix takes in mail, nil if that is not known.
func (c *postfixCheck) door() *intake {
	for i := range c.services {
		s := &c.services[i]
		if s.kind != "inet" || s.command != "postscreen" && !(s.command == "smtpd" && c.isIntake(s)) {
			continue
		}
		host, port, err := net.SplitHostPort(s.name)
		if err != nil {
			host, port = "", s.name
		}
		if host = strings.Trim(host, "[]"); host == "" {
			host = c.nearest()
		}
		ip := net.ParseIP(host)
		if ip == nil {
			continue
		}
		if n, err := net.LookupPort("tcp", port); err == nil {
			port = strconv.Itoa(n)
		}
		// postconf(5), double_bounce_sender: all mail to this address is silently
		// discarded. That holds for local domains, of which the server's own addresses are
		// always one. So even if nobody refuses the bounce, nobody gets it.
		literal := "[" + ip.String() + "]"
		if ip.To4() == nil {
			literal = "[IPv6:" + ip.String() + "]"
		}
		user, _ := c.value("double_bounce_sender", s)
		if user == "" || strings.ContainsAny(user, "<>@ \t\r\n") {
			return nil
		}
		return &intake{address: net.JoinHostPort(host, port), recipient: user + "@" + literal}
	}
	return nil
}

// nearest returns an address of this host at which Postfix listens, "" if it names hosts.
func (c *postfixCheck) nearest() string {
	interfaces, _ := c.value("inet_interfaces", nil)
	protocols, _ := c.value("inet_protocols", nil)
	for _, name := range split(interfaces, ", \t") {
		switch {
		case !slices.Contains([]string{"all", "loopback-only", "localhost"}, name):
			if ip := net.ParseIP(strings.Trim(name, "[]")); ip != nil {
				return ip.String()
			}
		case protocols == "ipv6":
			return "::1"
		default:
			return "127.0.0.1"
		}
	}
	return ""
}

// through hands a bounce to Postfix, which shows it to the daemon. The daemon refuses it,
// so nothing is queued. It reports whether there is nothing more to try: only a daemon that
// shows its secret to us can know this bounce.
func (r *report) through(door *intake) bool {
	if len(r.proof()) == 0 {
		r.add(check, Note, []string{"sudo bounce-milter doctor --send"},
			"the way through Postfix is not tried: only root can, and only where the daemon runs on this host, with this configuration file")
		return false
	}
	answer, err := door.send(r.bounce())
	var refusal *textproto.Error
	switch {
	case err == nil:
		r.wrong(check, nil, "Postfix at %s took in a bounce from this host and did not show it to bounce-milter (%s); it goes to %s, which Postfix throws away. "+
			"Look at master.cf, and at smtpd_milter_maps", door.address, oneLine(answer), door.recipient)
		return true
	case !errors.As(err, &refusal):
		r.add(check, Note, nil, "the way through Postfix could not be tried: it does not answer at %s: %v", door.address, err)
		return false
	}
	headers, ours := trial.Read(refusal.Msg)
	if !ours {
		r.add(check, Note, nil, "the way through Postfix could not be tried: at %s it, or another milter, refuses a bounce before bounce-milter sees it: %d %s",
			door.address, refusal.Code, oneLine(refusal.Msg))
		return false
	}
	r.got(headers, "Postfix at "+door.address+" shows a bounce to bounce-milter, which gives it these headers (and refuses this one, so nothing is queued)")
	return true
}

// send sends a bounce by SMTP. What the server refuses with is a [textproto.Error].
func (d *intake) send(message string) (answer string, err error) {
	conn, err := net.DialTimeout("tcp", d.address, patience)
	if err != nil {
		return "", err
	}
	conn.SetDeadline(time.Now().Add(4 * patience))
	c := textproto.NewConn(conn)
	defer c.Close()
	if _, _, err := c.ReadResponse(220); err != nil {
		return "", err
	}
	for _, step := range []struct {
		say  string
		want int
	}{{"EHLO localhost", 250}, {"MAIL FROM:<>", 250}, {"RCPT TO:<" + d.recipient + ">", 25}, {"DATA", 354}} {
		if err := c.PrintfLine("%s", step.say); err != nil {
			return "", err
		}
		if _, _, err := c.ReadResponse(step.want); err != nil {
			return "", err
		}
	}
	w := c.DotWriter()
	if _, err := w.Write([]byte(message)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	_, answer, err = c.ReadResponse(250)
	c.PrintfLine("QUIT")
	return answer, err
}
