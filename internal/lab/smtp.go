package lab

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"time"
)

// SMTP is the client's side of an SMTP session (RFC 5321). It sends exactly what it is
// told, and changes only the line ends of a message, so that tests can send what no good
// client would.
type SMTP struct {
	conn net.Conn
	r    *bufio.Reader
	// Banner is the server's greeting; Postfix and Sendmail name themselves.
	Banner string
}

// Reply is a server's reply; Text has all of its lines.
type Reply struct {
	Code int
	Text string
}

// DialSMTP connects, reads the greeting and says EHLO.
func DialSMTP(addr string) (*SMTP, error) {
	conn, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		return nil, fmt.Errorf("connecting to the SMTP server: %w", err)
	}
	c := &SMTP{conn: conn, r: bufio.NewReader(conn)}
	greeting, err := c.Read()
	if err == nil && greeting.Code != 220 {
		err = fmt.Errorf("greeted with %q", greeting.Text)
	}
	if err == nil {
		c.Banner = greeting.Text
		_, err = c.Expect(250, "EHLO client.lab.test")
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("opening an SMTP session: %w", err)
	}
	return c, nil
}

// Read reads one reply.
func (c *SMTP) Read() (Reply, error) {
	c.conn.SetReadDeadline(time.Now().Add(Patience))
	var r Reply
	var lines []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return r, fmt.Errorf("reading an SMTP reply: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] != '-' {
			break
		}
	}
	r.Text = strings.Join(lines, "\n")
	if _, err := fmt.Sscanf(lines[len(lines)-1], "%3d", &r.Code); err != nil {
		return r, fmt.Errorf("reading an SMTP reply: %q has no code", r.Text)
	}
	return r, nil
}

// Write sends bytes as they are.
func (c *SMTP) Write(p []byte) (int, error) {
	c.conn.SetWriteDeadline(time.Now().Add(Patience))
	return c.conn.Write(p)
}

// Cmd sends a command and reads its reply.
func (c *SMTP) Cmd(format string, args ...any) (Reply, error) {
	if _, err := fmt.Fprintf(c, format+"\r\n", args...); err != nil {
		return Reply{}, fmt.Errorf("sending an SMTP command: %w", err)
	}
	return c.Read()
}

// Expect is Cmd for a command that must be answered with this code.
func (c *SMTP) Expect(code int, format string, args ...any) (Reply, error) {
	r, err := c.Cmd(format, args...)
	if err != nil {
		return r, err
	}
	if r.Code != code {
		return r, fmt.Errorf("%s: answered %q, not %d", fmt.Sprintf(format, args...), r.Text, code)
	}
	return r, nil
}

// Mail is a message and its envelope. From is empty for the null sender; Args
// are ESMTP arguments of MAIL FROM, such as SMTPUTF8. Data has line ends of
// either kind; a bare CR stays one.
type Mail struct {
	From string
	To   []string
	Args string
	Data []byte
}

// Begin sends the envelope and DATA, up to the server's 354.
func (c *SMTP) Begin(m Mail) error {
	args := m.Args
	if args != "" {
		args = " " + args
	}
	if _, err := c.Expect(250, "MAIL FROM:<%s>%s", m.From, args); err != nil {
		return err
	}
	for _, to := range m.To {
		if _, err := c.Expect(250, "RCPT TO:<%s>", to); err != nil {
			return err
		}
	}
	_, err := c.Expect(354, "DATA")
	return err
}

// Send sends one message and returns the reply that accepted it.
func (c *SMTP) Send(m Mail) (Reply, error) {
	if err := c.Begin(m); err != nil {
		return Reply{}, err
	}
	if _, err := c.Write(dotted(m.Data)); err != nil {
		return Reply{}, fmt.Errorf("sending a message: %w", err)
	}
	r, err := c.Read()
	if err == nil && r.Code != 250 {
		err = fmt.Errorf("sending a message: answered %q", r.Text)
	}
	return r, err
}

// Quit ends the session politely.
func (c *SMTP) Quit() error {
	_, err := c.Expect(221, "QUIT")
	c.conn.Close()
	return err
}

// Close drops the connection.
func (c *SMTP) Close() error { return c.conn.Close() }

// dotted returns a message as DATA transports it: with CRLF line ends, doubled leading
// dots, and the final dot (RFC 5321, section 4.5.2).
func dotted(data []byte) []byte {
	b := bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
	b = bytes.ReplaceAll(b, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(b, []byte(".")) {
		b = append([]byte("."), b...)
	}
	if !bytes.HasSuffix(b, []byte("\r\n")) {
		b = append(b, "\r\n"...)
	}
	return append(b, ".\r\n"...)
}

// SendAll sends messages over one connection of its own.
func SendAll(addr string, mails ...Mail) error {
	c, err := DialSMTP(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for i, m := range mails {
		if _, err := c.Send(m); err != nil {
			return fmt.Errorf("message %d: %w", i+1, err)
		}
	}
	return c.Quit()
}
