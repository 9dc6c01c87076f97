package milter

import (
	"bytes"
	"strings"
	"testing"

	gomilter "github.com/emersion/go-milter"
)

// TestLongReply sends a report whose notice quotes a reply that is longer than what is kept
// of a message. The fields after it are read all the same.
func TestLongReply(t *testing.T) {
	ts := start(t, func(c *Config) { c.Limits.Report.Octets = 64 << 10 })
	c := newClient(t, ts.dial(t), gomilter.OptSkip)
	c.expect('c', connectFrame("192.0.2.1"))
	c.expect('c', mailFrame(""))
	c.expect('c', headerFrame("Content-Type", `multipart/report; report-type=delivery-status; boundary="b1"`))
	c.expect('c', frame('N', ""))
	c.expect('c', frame('B', "--b1\r\nContent-Type: text/plain\r\n\r\nThe first line\r\n"))
	for range 10 {
		c.expect('c', frame('B', strings.Repeat("550-and one more of very many\r\n", 1000)))
	}
	c.expect('c', frame('B', "550 the last line\r\n--b1\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; u@example.com\r\n"))
	c.end(frame('E', ""))
	raw := ts.insp.last()
	for _, want := range []string{"The first line", "Final-Recipient: rfc822; u@example.com"} {
		if !bytes.Contains(raw, []byte(want)) {
			t.Errorf("%q was not kept of %d octets", want, len(raw))
		}
	}
	if len(raw) > 64<<10 {
		t.Errorf("%d octets were kept", len(raw))
	}
}
