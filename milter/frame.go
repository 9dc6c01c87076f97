package milter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	gomilter "github.com/emersion/go-milter"
)

// Bounds on one frame: a length of four octets, a command octet, and its data.
// Nothing is allocated just because a frame announces a length.
const (
	// maxFrame is the most that an MTA sends: SMFIP_MDS_1M of Sendmail.
	maxFrame = 1 << 20
	// maxCommand bounds frames that are neither header nor body.
	maxCommand = 64 << 10
	// keepHeader is how much of one header frame is read into memory; the
	// rest of a longer field is skipped.
	keepHeader = 64 << 10
)

// codeUnknown is an SMTP command that the MTA does not know (SMFIC_UNKNOWN).
const codeUnknown gomilter.Code = 'U'

var errFrame = errors.New("malformed frame")

func frameError(format string, a ...any) error {
	return fmt.Errorf("%w: %s", errFrame, fmt.Sprintf(format, a...))
}

// phase is the state of a session; it decides which commands may come.
type phase uint8

const (
	phaseNew    phase = iota // only the negotiation may come
	phaseIdle                // between messages
	phaseMail                // MAIL seen, header fields may come
	phaseBody                // end of header seen
	phaseClosed              // nothing more is read
)

// allowed reports what is wrong with a frame of this code and length in this phase,
// before any of its data is read. length includes the code.
func allowed(p phase, code gomilter.Code, length int) error {
	if length > maxFrame {
		return frameError("%d octets", length)
	}
	switch code {
	case gomilter.CodeHeader, gomilter.CodeBody, gomilter.CodeEOB:
	case gomilter.CodeOptNeg, gomilter.CodeConn, gomilter.CodeHelo, gomilter.CodeMacro, gomilter.CodeMail, gomilter.CodeRcpt,
		gomilter.CodeData, gomilter.CodeEOH, gomilter.CodeAbort, gomilter.CodeQuit, gomilter.CodeQuitNewConn, codeUnknown:
		if length > maxCommand {
			return frameError("%d octets of command %q", length, byte(code))
		}
	default:
		return frameError("unknown command %q", byte(code))
	}
	switch {
	case p == phaseNew && code != gomilter.CodeOptNeg,
		p != phaseNew && code == gomilter.CodeOptNeg:
		return frameError("command %q out of order", byte(code))
	}
	switch code {
	case gomilter.CodeRcpt, gomilter.CodeData, gomilter.CodeHeader, gomilter.CodeEOH:
		if p != phaseMail {
			return frameError("command %q out of order", byte(code))
		}
	case gomilter.CodeBody:
		if p != phaseBody {
			return frameError("command %q out of order", byte(code))
		}
	case gomilter.CodeEOB:
		if p != phaseMail && p != phaseBody {
			return frameError("command %q out of order", byte(code))
		}
	}
	return nil
}

// offer is what an MTA offers in the negotiation (SMFIC_OPTNEG).
type offer struct {
	version  uint32
	actions  gomilter.OptAction
	protocol gomilter.OptProtocol
}

func parseOffer(data []byte) (offer, error) {
	if len(data) < 12 {
		return offer{}, frameError("offer of %d octets", len(data))
	}
	return offer{
		version:  binary.BigEndian.Uint32(data),
		actions:  gomilter.OptAction(binary.BigEndian.Uint32(data[4:])),
		protocol: gomilter.OptProtocol(binary.BigEndian.Uint32(data[8:])),
	}, nil
}

// parseConnect reads the client's name, address and port. The address is
// invalid for clients that have none: unix sockets, unknown families.
func parseConnect(data []byte) (host string, client netip.AddrPort, err error) {
	i := bytes.IndexByte(data, 0)
	if i < 0 || len(data) < i+2 {
		return "", client, frameError("connect without a family")
	}
	host, family, rest := string(data[:i]), data[i+1], data[i+2:]
	switch gomilter.ProtoFamily(family) {
	case gomilter.FamilyUnknown:
		return host, client, nil
	case gomilter.FamilyUnix:
		// QUIRK: Postfix and Sendmail put a port here too.
		_, err := parseString(rest, "connect")
		return host, client, err
	case gomilter.FamilyInet, gomilter.FamilyInet6:
		if len(rest) < 3 || rest[len(rest)-1] != 0 {
			return "", client, frameError("connect without an address")
		}
	default:
		return "", client, frameError("connect of family %q", family)
	}
	text := string(rest[2 : len(rest)-1])
	// QUIRK: Sendmail writes IPv6 addresses as in its maps, IPv6:2001:db8::1.
	if len(text) > 5 && strings.EqualFold(text[:5], "ipv6:") {
		text = text[5:]
	}
	// If the address cannot be parsed it stays invalid, and no network trusts it.
	addr, _ := netip.ParseAddr(text)
	return host, netip.AddrPortFrom(addr.Unmap().WithZone(""), binary.BigEndian.Uint16(rest)), nil
}

// parseMail reads the sender and whether the message is internationalised
// (RFC 6531 section 3.4).
func parseMail(data []byte) (from string, utf8 bool, err error) {
	if len(data) == 0 || data[len(data)-1] != 0 {
		return "", false, frameError("MAIL without a final NUL")
	}
	first := true
	for len(data) > 0 {
		i := bytes.IndexByte(data, 0)
		arg := data[:i]
		data = data[i+1:]
		if first {
			from, first = strings.Trim(string(arg), "<>"), false
		} else if len(arg) == 8 && strings.EqualFold(string(arg), "SMTPUTF8") {
			utf8 = true
		}
	}
	return from, utf8, nil
}

// parseRcpt reads a recipient. Its ESMTP arguments are of no use here.
func parseRcpt(data []byte) ([]byte, error) {
	i := bytes.IndexByte(data, 0)
	if i < 0 || data[len(data)-1] != 0 {
		return nil, frameError("RCPT without its end")
	}
	return bytes.Trim(data[:i], "<>"), nil
}

// parseHeader splits the data of a header frame; name and value point into it. cut says
// that the end of the frame was skipped.
func parseHeader(data []byte, cut bool) (name, value []byte, err error) {
	i := bytes.IndexByte(data, 0)
	if i < 0 {
		return nil, nil, frameError("header without a value")
	}
	name, value = data[:i], data[i+1:]
	j := bytes.IndexByte(value, 0)
	if j < 0 {
		if !cut {
			return nil, nil, frameError("header without a final NUL")
		}
		return name, value, nil
	}
	return name, value[:j], nil
}

// macro returns the value of a macro, "" if it is not there. data is that of a macro
// frame, after the octet of the command that the macros belong to.
func macro(data []byte, name string) string {
	for len(data) > 0 {
		key, rest, ok := bytes.Cut(data, []byte{0})
		if !ok {
			return ""
		}
		value, next, _ := bytes.Cut(rest, []byte{0})
		if string(key) == name || len(key) == len(name)+2 && key[0] == '{' && string(key[1:len(key)-1]) == name {
			return string(value)
		}
		data = next
	}
	return ""
}

// parseString returns a string without the NUL that must end it.
func parseString(data []byte, what string) ([]byte, error) {
	if len(data) == 0 || data[len(data)-1] != 0 {
		return nil, frameError("%s without a final NUL", what)
	}
	return data[:len(data)-1], nil
}
