package dsn

import "bytes"

// Source is a returned message as it came back, so that signatures in it can be
// verified.
type Source struct {
	// Header is the header with its folds and line ends, without the empty line
	// after it. It is cut to 64 KiB.
	Header []byte
	// Cut is true if the header may lack fields: it was cut, a line that is no field
	// ends it, or it is a quotation in a text.
	Cut bool
	// Body is what came back of the body, nil if only the header did.
	Body []byte
	// Whole is true if nothing shows that some of the body is missing.
	Whole bool
}

// maxSource bounds a header that is handed out as it came.
const maxSource = 64 << 10

// sourceOf returns the message in a part as it came: msg is the part decoded, and rest
// what follows its header.
func (r *reading) sourceOf(p *part, msg, rest []byte) *Source {
	s := r.headerSource(msg, rest)
	if s == nil || len(rest) == 0 || s.Cut || p.kind.name != "message/rfc822" && p.kind.name != "message/global" {
		return s
	}
	if r.work.Take(len(rest) / 4) {
		s.Body = bytes.Clone(rest)
		s.Whole = !r.rep.Truncated && !r.tree.open
	}
	return s
}

// headerSource returns the header that msg begins with, nil if there is none.
func (r *reading) headerSource(msg, rest []byte) *Source {
	h := msg[:len(msg)-len(rest)]
	if !r.work.Take(len(h)/4 + 1) {
		return nil
	}
	bare := bytes.TrimRight(h, "\r\n")
	if len(bare) == 0 {
		return nil
	}
	s := &Source{Cut: rest != nil && bytes.Count(h[len(bare):], []byte("\n")) < 2}
	if len(bare) > maxSource {
		s.Header, s.Cut = append(bytes.Clone(bare[:maxSource]), '\n'), true
		return s
	}
	_, after := cutLine(h[len(bare):])
	s.Header = bytes.Clone(h[:len(h)-len(after)])
	return s
}
