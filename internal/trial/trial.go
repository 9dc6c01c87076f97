// Package trial is what doctor and the daemon agree on, so that doctor can send a bounce
// through the mail server and nobody gets it: the daemon recognises this bounce by a
// secret, and refuses it with the header fields that it would have got. So the mail server
// gives these to its client, which is doctor, and keeps nothing.
package trial

import "strings"

// Field is the name of the header field by which doctor proves itself. Its value is a
// secret of the daemon.
const Field = "X-Bounce-Doctor"

const (
	code  = "550"
	first = "bounce-milter doctor: a bounce for a try, refused so that nobody gets it"
	// maxLine is less than a line of a reply may have, RFC 5321 section 4.5.3.1.5, so that
	// there is room for what the mail server puts before it.
	maxLine = 400
)

// Answer is the reply, of several lines as RFC 5321 section 4.2.1 has them, that refuses
// the bounce and tells its fields. They are "Name: value", in printable ASCII.
func Answer(fields []string) string {
	lines := append([]string{first}, fields...)
	for i, text := range lines {
		// QUIRK: libmilter, and so Sendmail, takes what follows a percent sign for a
		// directive.
		text = strings.Join(strings.Fields(strings.ReplaceAll(text, "%", "")), " ")
		lines[i] = code + "-5.7.0 " + text[:min(len(text), maxLine)]
	}
	last := &lines[len(lines)-1]
	*last = code + " " + strings.TrimPrefix(*last, code+"-")
	return strings.Join(lines, "\r\n")
}

// Read reads the lines of an answer, with or without the code before each. It returns false
// if somebody else has answered.
func Read(text string) (fields []string, ok bool) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		line = strings.TrimPrefix(strings.TrimPrefix(line, code+"-"), code+" ")
		line = strings.TrimPrefix(line, "5.7.0 ")
		switch {
		case line == first:
			ok = true
		case ok && isField(line):
			fields = append(fields, line)
		}
	}
	return fields, ok
}

// isField tells a header field from what a mail server adds, such as smtpd_reject_footer.
func isField(line string) bool {
	name, _, ok := strings.Cut(line, ": ")
	return ok && name != "" && !strings.Contains(name, " ")
}
