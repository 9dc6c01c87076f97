package milter

import (
	"context"
	"log/slog"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/action"
)

// LogAddresses says how much of people's mail addresses the log contains.
type LogAddresses string

// The choices for LogAddresses.
const (
	LogFull   LogAddresses = "full"
	LogDomain LogAddresses = "domain" // @example.org
	LogNone   LogAddresses = "none"   // the lines have no address at all
)

// LogAddressChoices are all of them.
var LogAddressChoices = []LogAddresses{LogFull, LogDomain, LogNone}

// maxLogged is how many recipients of one report the log names.
const maxLogged = 20

// logResult writes one line about a message that was inspected. bounce-milter(8) lists
// its fields.
func (s *session) logResult(res *classify.Result, d *deed) {
	ctx, level := context.Background(), slog.LevelInfo
	if res.Kind == dsn.KindNone {
		level = slog.LevelDebug // it only looked like a report
	}
	if !s.srv.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 24)
	attrs = append(attrs, slog.String("queue_id", clip(s.queueID())), slog.String("client", s.clientName()), slog.String("helo", clip(s.helo)))
	attrs = s.logAddress(attrs, "from", s.msg.from)
	attrs = append(attrs, slog.String("kind", string(res.Kind)))
	if p := action.Primary(res.Recipients); p != nil {
		attrs = append(attrs, slog.Int("recipients", len(res.Recipients)+res.Dropped))
		attrs = s.logAddress(attrs, "recipient", p.Address)
		attrs = append(attrs, slog.String("action", string(p.Action)), slog.String("category", string(p.Category)), slog.String("type", string(p.Type)),
			slog.String("reason", p.Reason), slog.String("status", clip(p.Status)), slog.String("provider", p.Provider), slog.String("rule", p.Rule))
		if len(res.Recipients) > 1 {
			attrs = append(attrs, slog.Any("others", s.others(res.Recipients, p)))
		}
	}
	if whose := s.msg.report; whose != nil {
		f := &whose.Message
		attrs = append(attrs, slog.String("origin", string(f.Origin)), slog.String("proof", string(f.Proof)), slog.Bool("bound", f.Bound))
	}
	if d.action != nil {
		attrs = append(attrs, slog.String("took", d.action.Name), slog.String("took_result", d.result))
	}
	if len(res.Shadowed) > 0 {
		attrs = append(attrs, slog.Any("shadowed", res.Shadowed))
	}
	s.srv.log.LogAttrs(ctx, level, "report", attrs...)
}

// others says what became of the recipients other than the primary one, each as
// "address action/type/reason".
func (s *session) others(all []classify.Recipient, primary *classify.Recipient) []string {
	list := make([]string, 0, min(len(all), maxLogged)-1)
	for i := range all {
		r := &all[i]
		if r == primary {
			continue
		}
		if len(list) == maxLogged-1 {
			break
		}
		what := string(r.Action)
		if r.Action.Bounced() {
			what += "/" + string(r.Type) + "/" + r.Reason
		}
		if who, ok := s.logged(r.Address); ok {
			what = who + " " + what
		}
		list = append(list, what)
	}
	return list
}

// logged returns what the log may say of an address; ok is false if that is nothing.
func (s *session) logged(addr string) (text string, ok bool) {
	switch s.logAddresses() {
	case LogNone:
		return "", false
	case LogDomain:
		if i := strings.LastIndexByte(addr, '@'); i >= 0 {
			addr = addr[i:]
		} else if addr != "" {
			addr = "@" // there is a name, without a domain
		}
	}
	return clip(addr), true
}

// logAddresses is the choice in force. Between messages it is that of the server.
func (s *session) logAddresses() LogAddresses {
	if st := s.msg.st; st != nil {
		return st.cfg.LogAddresses
	}
	return s.srv.state.Load().cfg.LogAddresses
}

func (s *session) logAddress(attrs []slog.Attr, key, addr string) []slog.Attr {
	if text, ok := s.logged(addr); ok {
		attrs = append(attrs, slog.String(key, text))
	}
	return attrs
}

// whose returns attributes that say which message a warning is about.
func (s *session) whose() []any {
	attrs := []any{"queue_id", clip(s.queueID()), "client", s.clientName()}
	if from, ok := s.logged(s.msg.from); ok {
		attrs = append(attrs, "from", from)
	}
	return attrs
}

// clip shortens what a stranger wrote for a log line.
func clip(s string) string {
	const limit = 320 // longer than any address may be
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}
