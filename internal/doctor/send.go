package doctor

import (
	_ "embed"
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/trial"
	"github.com/emersion/go-milter"
)

// bounce is what is handed to the daemon: a report about an address that cannot exist
// (RFC 2606).
//
//go:embed bounce.eml
var bounce string

// send hands a bounce to the daemon: through Postfix if it can be sure that nobody gets
// it, and otherwise in the mail server's place.
func (r *report) send() {
	if r.line == nil {
		r.add(check, Unknown, nil, "no mail server here names bounce-milter, so there is no connection to send a bounce through")
		return
	}
	if r.intake != nil && r.through(r.intake) {
		return
	}
	r.direct()
}

// check is the name of the findings of this file.
const check = "send"

// direct hands a bounce to the daemon as the mail server would: as its user, in its chroot,
// at the address in its configuration, by its protocol. No mail server takes part, so there
// is nobody who could deliver it.
func (r *report) direct() {
	conn, err := r.line.dial()
	if err != nil {
		r.add(check, Unknown, nil, "the connection fails, as said above: %v", err)
		return
	}
	s, err := session(conn)
	if err != nil {
		r.wrong(check, nil, "the daemon does not speak the milter protocol: %v", err)
		return
	}
	defer s.Close()
	changes, refusal, err := play(s, r.bounce())
	if err != nil {
		r.wrong(check, []string{"journalctl -u bounce-milter -n 20"}, "the daemon did not take the bounce: %v", err)
		return
	}
	headers, proved := trial.Read(refusal)
	switch {
	case proved:
	case refusal != "":
		r.wrong(check, []string{"bounce-milter config show"}, "the daemon refuses a bounce: %s", oneLine(refusal))
		return
	}
	for _, c := range changes {
		if c.Code == milter.ActInsertHeader || c.Code == milter.ActAddHeader {
			headers = append(headers, c.HeaderName+": "+strings.Join(strings.Fields(c.HeaderValue), " "))
		}
	}
	counted := ""
	if !proved {
		slices.Reverse(headers) // each was inserted above the one before
		counted = ", and counts it as one of a stranger"
	}
	r.got(headers, "bounce-milter, asked in the mail server's place, gives a bounce these headers"+counted)
}

// got says which headers a bounce got.
func (r *report) got(headers []string, says string) {
	if len(headers) == 0 {
		r.add(check, Warning, []string{"bounce-milter config show"}, `a bounce passes without headers: is mode = "observe"?`)
		return
	}
	r.good(check, "%s", says)
	r.list[len(r.list)-1].Headers = headers
}

// bounce is the bounce, with what proves to the daemon that it is ours.
func (r *report) bounce() string {
	if r.proof == nil {
		return bounce
	}
	var b strings.Builder
	for _, d := range r.proof() {
		b.WriteString(trial.Field + ": " + d.Secret + "\n")
	}
	return b.String() + bounce
}

// play plays the SMTP session of a stranger who returns a message.
// It returns the changes that the daemon asks for, or the reply that it refuses with.
func play(s *milter.ClientSession, bounce string) (changes []milter.ModifyAction, refusal string, err error) {
	const host, address = "mx.example.net", "192.0.2.25"
	head, body, _ := strings.Cut(strings.ReplaceAll(bounce, "\n", "\r\n"), "\r\n\r\n")
	steps := []func() (*milter.Action, error){
		func() (*milter.Action, error) {
			s.Macros(milter.CodeConn, "j", "localhost", "{daemon_name}", "doctor", "v", "bounce-milter doctor")
			return s.Conn(host, milter.FamilyInet, 25, address)
		},
		func() (*milter.Action, error) { return s.Helo(host) },
		func() (*milter.Action, error) { return s.Mail("", nil) },
		func() (*milter.Action, error) { return s.Rcpt("news@example.org", nil) },
	}
	for _, line := range unfold(head) {
		name, value, _ := strings.Cut(line, ":")
		steps = append(steps, func() (*milter.Action, error) {
			return s.HeaderField(textproto.TrimString(name), strings.TrimPrefix(value, " "))
		})
	}
	steps = append(steps,
		func() (*milter.Action, error) { return s.HeaderEnd() },
		func() (*milter.Action, error) { return s.BodyChunk([]byte(body)) })
	for _, step := range steps {
		action, err := step()
		switch {
		case err != nil:
			return nil, "", err
		case action.Code == milter.ActAccept:
			return nil, "", nil
		case action.Code != milter.ActContinue && action.Code != milter.ActSkip:
			return nil, "", fmt.Errorf("it answered %q", rune(action.Code))
		}
	}
	changes, action, err := s.End()
	switch {
	case err != nil:
	case action.Code == milter.ActReplyCode:
		refusal = action.SMTPText
	case action.Code != milter.ActAccept && action.Code != milter.ActContinue:
		err = fmt.Errorf("it answered %q", rune(action.Code))
	}
	return changes, refusal, err
}

// unfold returns the fields of a header, with the lines that go on.
func unfold(head string) []string {
	var fields []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if len(fields) > 0 && (line[0] == ' ' || line[0] == '\t') {
			fields[len(fields)-1] += "\n" + line
			continue
		}
		fields = append(fields, line)
	}
	return fields
}
