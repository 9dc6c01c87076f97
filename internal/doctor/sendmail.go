package doctor

import (
	"os"
	"strings"

	"github.com/bounce-milter/bounce-milter/milter"
)

// sendmail looks at Sendmail. It reports whether there is one.
func (r *report) sendmail(sockets []milter.Socket) bool {
	const check = "sendmail"
	data, err := os.ReadFile(r.SendmailCF)
	switch {
	case os.IsNotExist(err):
		return false
	case err != nil:
		r.add(check, Unknown, []string{"sudo bounce-milter doctor"}, "%v: run this as root", err)
		return true
	}
	filters, order := readFilters(string(data))
	for i, name := range order {
		f, defined := filters[name]
		if !defined {
			r.wrong("value", sendmailMend(sockets), "InputMailFilters names %s, for which there is no line X%[1]s", name)
			continue
		}
		if find([]entry{f.entry}, sockets, "/", false) < 0 {
			continue
		}
		r.good(check, "%s names bounce-milter: %s", r.SendmailCF, f.raw)
		if f.flag != "" {
			what := map[string]string{"R": "mail is refused for good", "T": "senders must try again", "4": "connections are closed"}[f.flag]
			r.wrong("default_action", sendmailMend(sockets), "the filter %s has F=%s: while bounce-milter is down, %s; leave F= empty", name, f.flag, what)
		} else {
			r.good("default_action", "while bounce-milter is down, mail passes untagged")
		}
		if i < len(order)-1 {
			r.add("order", Warning, []string{"sudoedit /etc/mail/sendmail.mc"},
				"%s comes behind bounce-milter in InputMailFilters: put bounce-milter last", strings.Join(order[i+1:], " and "))
		}
		v := visitor{network: f.network, address: f.address}
		r.visit(&v)
		if r.line == nil {
			r.line = &v
		}
		return true
	}
	for name, f := range filters {
		if find([]entry{f.entry}, sockets, "/", false) >= 0 {
			r.wrong(check, sendmailMend(sockets), "the filter %s is defined, but InputMailFilters does not name it: no mail is shown to it", name)
			return true
		}
	}
	r.wrong(check, sendmailMend(sockets), "%s does not name bounce-milter: mail is not read", r.SendmailCF)
	return true
}

// sendmailMend are the commands that add the filter to Sendmail.
func sendmailMend(sockets []milter.Socket) []string {
	at := "inet:8894@127.0.0.1"
	for _, s := range sockets {
		if s.Network != milter.Systemd {
			at = strings.Replace(s.String(), "unix:", "local:", 1)
			break
		}
	}
	return []string{
		"sudoedit /etc/mail/sendmail.mc # add this line before MAILER: INPUT_MAIL_FILTER(`bounce-milter', `S=" + at + ", T=C:3s;S:3s;R:3s;E:10s')dnl",
		"cd /etc/mail && sudo make && sudo systemctl reload sendmail",
	}
}

// filter is a milter of Sendmail.
type filter struct {
	entry
	flag string // what happens while it is down: R, T or 4; else mail passes
}

// readFilters reads the milters of a sendmail.cf, and the names of those that are used,
// in their order.
func readFilters(text string) (filters map[string]filter, order []string) {
	filters = map[string]filter{}
	for _, line := range logicalLines(text) {
		if names, ok := strings.CutPrefix(line, "O InputMailFilters="); ok {
			order = append(order, split(names, ", \t;")...)
			continue
		}
		name, equates, ok := strings.Cut(line, ",")
		if !ok || name[0] != 'X' || strings.ContainsAny(name, " \t=") {
			continue
		}
		f := filter{entry: entry{raw: line}}
		for equate := range strings.SplitSeq(equates, ",") {
			key, value, _ := strings.Cut(strings.TrimSpace(equate), "=")
			switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
			case "S":
				f.socket(value)
			case "F":
				f.flag = value
			}
		}
		filters[name[1:]] = f
	}
	return filters, order
}

// socket reads the address of a filter.
func (f *filter) socket(s string) {
	sock, err := milter.ParseSocket(s)
	if err != nil {
		return
	}
	f.network, f.address = sock.Network, sock.Address
	if strings.HasPrefix(f.network, "tcp") {
		f.network = "tcp"
	}
}
