//go:build e2e

package lab

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// originWorld is a Postfix of ours whose mail gets tickets and DKIM signatures, and servers
// of others that take it, fail to deliver it and say so.
type originWorld struct {
	lab    *Lab
	p      *Postfix
	remote *Remote
	daemon *Daemon
	listen string
	dkim   *OpenDKIM
	origin string   // the table of the daemon
	back   string   // where bounces of others come in
	relays []string // names of the servers: mail for NAME.test goes there
}

// relayStarts start a server of somebody else: its bounces for lab.test go back to an
// address, and everything else to another.
var relayStarts = map[string]func(l *Lab, back, next string) (addr string, log func() string, err error){
	"postfix": func(l *Lab, back, next string) (string, func() string, error) {
		p, err := l.StartPostfix("relay", PostfixConfig{Services: []Service{{Name: "in"}},
			Main: fmt.Sprintf("myhostname = mx.postfix.test\nvirtual_mailbox_domains =\ntransport_maps = inline:{ lab.test=smtp:[127.0.0.1]:%[1]s, .lab.test=smtp:[127.0.0.1]:%[1]s }\nrelayhost = [127.0.0.1]:%[2]s\n", port(back), port(next))})
		if err != nil {
			return "", nil, err
		}
		return p.Addr("in"), p.Log, nil
	},
	"exim": func(l *Lab, back, next string) (string, func() string, error) {
		r, err := l.StartExim("exim", "lab.test", back, next)
		if err != nil {
			return "", nil, err
		}
		return r.Addr, r.Log, nil
	},
	"opensmtpd": func(l *Lab, back, next string) (string, func() string, error) {
		r, err := l.StartOpenSMTPD("opensmtpd", "lab.test", back, next)
		if err != nil {
			return "", nil, err
		}
		return r.Addr, r.Log, nil
	},
	// Sendmail has one way out, so that its bounces go to the remote server, and the test
	// carries them back.
	"sendmail": func(l *Lab, _, next string) (string, func() string, error) {
		s, err := l.StartSendmail("relay-sendmail", SendmailConfig{Remote: next})
		if err != nil {
			return "", nil, err
		}
		return s.Addr, s.Log, nil
	},
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// originTable makes the keys of a daemon, and the table that names them.
func originTable(t *testing.T, l *Lab, key *rsa.PrivateKey, domains, more string) string {
	t.Helper()
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.Path("s1.pem"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(bin, "ticket", "keygen", "--append", l.Path("ticket.keys")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return fmt.Sprintf("[origin]\ndomains = [%s]\nticket = true\nkey_file = %q\n%s\n[[origin.dkim]]\ndomain = \"lab.test\"\nselector = \"s1\"\npublic_key_file = %q\n",
		domains, l.Path("ticket.keys"), more, l.Path("s1.pem"))
}

func newOriginWorld(t *testing.T, relays ...string) *originWorld {
	t.Helper()
	return newOriginWorldWith(t, func(*Lab) (string, error) { return "", nil }, relays...)
}

// startOrigin starts a daemon with a table that originTable wrote.
func startOrigin(t *testing.T, l *Lab, listen, table string) *Daemon {
	t.Helper()
	d, err := l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{listen}, Tables: table})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "bounce-milter", d.Log)
	t.Cleanup(func() { noRaces(t, d) })
	return d
}

// newOriginWorldWith is newOriginWorld with more lines in main.cf.
func newOriginWorldWith(t *testing.T, more func(*Lab) (string, error), relays ...string) *originWorld {
	t.Helper()
	l := newLab(t)
	w := &originWorld{lab: l, relays: relays}
	must := orFail(t)
	key := newKey(t)
	remote, err := l.StartRemote(refuse)
	must(err)
	w.remote = remote
	ports, err := FreePorts(2)
	must(err)
	w.listen, w.back = "inet:"+Loopback(ports[0]), Loopback(ports[1])
	w.origin = originTable(t, l, key, `"lab.test"`, "")
	w.daemon = startOrigin(t, l, w.listen, w.origin)
	w.dkim, err = l.StartOpenDKIM("opendkim", key, "Mode s\nCanonicalization relaxed/simple\n")
	must(err)
	showOnFailure(t, "opendkim", w.dkim.Log)
	sasl, err := l.StartSASL("sasl")
	must(err)
	routes := fmt.Sprintf("direct.test=smtp:[127.0.0.1]:%s", port(w.remote.Addr))
	var wait sync.WaitGroup
	var mu sync.Mutex
	for _, name := range relays {
		wait.Go(func() {
			addr, log, err := relayStarts[name](l, w.back, w.remote.Addr)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			showOnFailure(t, name, log)
			routes += fmt.Sprintf(", %s.test=smtp:[127.0.0.1]:%s", name, port(addr))
		})
	}
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
	main, err := more(l)
	must(err)
	login := []string{"smtpd_sasl_auth_enable = yes", "smtpd_sasl_type = dovecot", "smtpd_sasl_path = " + sasl}
	w.p, err = l.StartPostfix("pf", PostfixConfig{
		Services: []Service{
			{Name: "in", Milters: w.listen, Port: ports[1]},
			{Name: "submission", Milters: w.listen, Options: login},
			{Name: "signed behind us", Milters: w.listen + ", inet:" + w.dkim.Addr, Options: login},
			{Name: "signed before us", Milters: "inet:" + w.dkim.Addr + ", " + w.listen, Options: login},
		},
		OwnBounces: w.listen, Main: "transport_maps = inline:{ " + routes + " }\n" + main,
	})
	must(err)
	showOnFailure(t, "postfix", w.p.Log)
	return w
}

// submit sends mail of a user who logs in.
func (w *originWorld) submit(t *testing.T, service string, m Mail) {
	t.Helper()
	c, err := DialSMTP(w.p.Addr(service))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("ann", "secret"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(m); err != nil {
		t.Fatal(err)
	}
}

// news is mail of ours, with an author whose domain signs.
func news(id, to string) []byte {
	return fmt.Appendf(nil, "Date: Sat, 28 Nov 2026 01:00:00 +0000\nFrom: Lab News <news@lab.test>\nTo: %s\nSubject: Grüße aus dem Labor\n"+
		"Message-ID: <%s@lab.test>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nSchöne Grüße!\n", to, id)
}

// claim is what the daemon says of the origin of a report: that of the message, and of its
// only recipient.
func claim(t *testing.T, m Message) string {
	t.Helper()
	tags := m.Tags("X-Bounce-Result")
	if len(tags) != 1 {
		t.Fatalf("%d results:\n%s", len(tags), head(m))
	}
	p := tags[0].Params()
	out := m.Get("X-Bounce-Origin")
	if p["origin"] != out {
		t.Errorf("the message is %s, its recipient %s", out, p["origin"])
	}
	if p["proof"] != "" {
		out += " by " + p["proof"]
	}
	if p["bound"] == "yes" {
		out += ", bound"
	}
	return out
}

// ownTags are the lines that the daemon put on a report; oldTicket is a ticket in what it
// returns.
var (
	ownTags       = regexp.MustCompile(`(?m)^X-Bounce-(Category|Type|Reason|Action|Origin|Result): .*\n([ \t].*\n)*`)
	oldTicket     = regexp.MustCompile(`(?m)^X-Bounce-Ticket: .*\n([ \t].*\n)*`)
	anyX          = regexp.MustCompile(`(?m)^X-.*\n([ \t].*\n)*`)
	signature     = regexp.MustCompile(`(?m)^DKIM-Signature: .*\n([ \t].*\n)*`)
	receivedField = regexp.MustCompile(`(?m)^Received: .*\n([ \t].*\n)*`)
)

// changed returns a report whose returned message was changed by f.
func changed(raw []byte, f func(string) string) []byte {
	text := ownTags.ReplaceAllString(string(raw), "")
	// What comes back is the last part, with the ticket or the signature on top.
	i := strings.LastIndex(text, "\nContent-Type: message/rfc822")
	for _, mark := range []string{"\nContent-type: message/rfc822", "\nContent-Type: text/rfc822-headers", "\nContent-type: text/rfc822-headers"} {
		i = max(i, strings.LastIndex(text, mark))
	}
	if i < 0 {
		return nil
	}
	return []byte(text[:i] + f(text[i:]))
}

// renamed returns a report that speaks of another recipient.
func renamed(raw []byte, from, to string) []byte {
	field := regexp.MustCompile(`(?im)^((?:Final|Original)-Recipient: rfc822; ?)` + regexp.QuoteMeta(from) + `$`)
	return field.ReplaceAll(raw, []byte("${1}"+to))
}

// refolded returns a header whose fields are folded at every space, as some servers do.
func refolded(s string) string {
	header, body, _ := strings.Cut(s[1:], "\n\n")
	returned, rest, ok := strings.Cut(body, "\n\n")
	lines := regexp.MustCompile(`\n[ \t]+`).ReplaceAllString(returned, " ")
	lines = regexp.MustCompile(`; `).ReplaceAllString(lines, ";\n\t  ")
	s = "\n" + header + "\n\n" + lines
	if ok {
		s += "\n\n" + rest
	}
	return s
}

// quotedPrintable returns a message whose body a server has encoded, as before one that
// takes seven bits only.
func quotedPrintable(s string) string {
	s = strings.Replace(s, "Content-Transfer-Encoding: 8bit\n\nSch", "Content-Transfer-Encoding: quoted-printable\n\nSch", 1)
	return strings.Replace(s, "Schöne Grüße!", "Sch=C3=B6ne Gr=C3=BC=C3=9Fe!", 1)
}

// again sends a report to us from outside, and returns what is said of it.
func (w *originWorld) again(t *testing.T, raw []byte) string {
	t.Helper()
	to, box := w.p.Mailbox()
	send(t, w.back, Mail{To: []string{to}, Args: "BODY=8BITMIME", Data: raw})
	return claim(t, delivered(t, box, 1)[0])
}

// What is proved when servers of others return our mail, as they are, and with what is
// lost on the way at times: the table of docs/origin.md. Whatever DKIM signer stands before
// or behind the daemon, both proofs hold.
func TestOriginOfBounces(t *testing.T) {
	t.Parallel()
	names := []string{"postfix", "sendmail", "exim", "opensmtpd"}
	w := newOriginWorld(t, names...)
	for _, name := range names {
		for _, c := range []struct{ service, args string }{
			{"signed behind us", "BODY=8BITMIME"},
			{"signed before us", "BODY=8BITMIME"},
			{"signed behind us", "BODY=8BITMIME RET=HDRS"},
		} {
			t.Run(name+"/"+c.service+" "+c.args, func(t *testing.T) {
				t.Parallel()
				from, box := w.p.Mailbox()
				to := "nobody@" + name + ".test"
				w.submit(t, c.service, Mail{From: from, To: []string{to}, Args: c.args, Data: news(from, to)})
				if name == "sendmail" {
					got, err := w.remote.Wait(from, 1)
					if err != nil {
						t.Fatal(err)
					}
					send(t, w.back, Mail{To: []string{from}, Args: "BODY=8BITMIME", Data: got[0].Raw})
				}
				m := delivered(t, box, 1)[0]
				if got := m.Get("X-Bounce-Type"); got != "hard" {
					t.Errorf("the type is %q", got)
				}
				// Exim offers no DSN here, and OpenSMTPD returns everything all the same.
				whole := strings.Contains(string(m.Raw), "ne Gr")
				if want := !strings.Contains(c.args, "RET=HDRS") || name == "exim" || name == "opensmtpd"; whole != want {
					t.Errorf("the body came back: %v", whole)
				}
				encoded := "unproven" // the body is not the one that was signed
				if !whole || name == "opensmtpd" {
					encoded = "ours by dkim, bound" // there is no such body to compare
				}
				row := claim(t, m)
				if row != "ours by ticket, bound" {
					t.Errorf("it is %s\n%s", row, m.Raw)
				}
				forged := renamed(changed(m.Raw, func(s string) string { return s }), to, "victim@"+name+".test")
				if got := w.again(t, forged); got != "unproven" {
					t.Errorf("forged for another recipient it is %s\n%s", got, forged)
				}
				for _, v := range []struct {
					what, want string
					f          func(string) string
				}{
					{"no ticket", "ours by dkim, bound", func(s string) string { return oldTicket.ReplaceAllString(s, "") }},
					{"no X- fields", "ours by dkim, bound", func(s string) string { return anyX.ReplaceAllString(s, "") }},
					{"no Received", "ours by ticket, bound", func(s string) string { return receivedField.ReplaceAllString(s, "") }},
					{"no signature", "ours by ticket, bound", func(s string) string { return signature.ReplaceAllString(s, "") }},
					{"fields folded anew", "ours by ticket, bound", refolded},
					{"fields folded anew and no ticket", "ours by dkim, bound", func(s string) string { return refolded(oldTicket.ReplaceAllString(s, "")) }},
					{"quoted-printable", "ours by ticket, bound", quotedPrintable},
					{"quoted-printable and no ticket", encoded, func(s string) string { return quotedPrintable(oldTicket.ReplaceAllString(s, "")) }},
					{"the author of a list", "unproven", func(s string) string {
						return strings.Replace(s, "Lab News <news@lab.test>", "Lab News via List <list@elsewhere.test>", 1)
					}},
					{"neither", "unproven", func(s string) string { return signature.ReplaceAllString(oldTicket.ReplaceAllString(s, ""), "") }},
				} {
					got := w.again(t, changed(m.Raw, v.f))
					if got != v.want {
						t.Errorf("with %s it is %s, want %s", v.what, got, v.want)
					}
					row += "; " + v.what + ": " + got
				}
				fmt.Printf("=== %s, %s %s: %s\n", name, c.service, c.args, row)
			})
		}
	}
}

// A bounce that Postfix makes itself is ours by that alone, once Postfix tells it apart
// from what a user hands in. Whatever a user hands in with sendmail(1) or postdrop(1) is
// not, and neither is what he sends by SMTP.
func TestOriginIsLocal(t *testing.T) {
	t.Parallel()
	w := newOriginWorld(t)
	from, box := w.p.Mailbox()
	seen := 0
	next := func(t *testing.T) Message {
		t.Helper()
		seen++
		return delivered(t, box, seen)[seen-1]
	}
	own := func(t *testing.T, id string) string {
		t.Helper()
		w.submit(t, "submission", Mail{From: from, To: []string{"nobody@direct.test"}, Data: news(id, "nobody@direct.test")})
		return claim(t, next(t))
	}
	if got := own(t, "before"); got != "ours by ticket, bound" {
		t.Errorf("before the recipe it is %s", got)
	}
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it may be run again
		cmd := exec.Command("sh", root+"/packaging/postfix/own-bounces.sh")
		cmd.Env = append(os.Environ(), "MAIL_CONFIG="+w.p.Dir+"/etc")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := Until("Postfix to reload", func() (bool, error) { return strings.Contains(w.p.Log(), "reload -- version"), nil }); err != nil {
		t.Fatal(err)
	}
	if got := own(t, "after"); got != "ours by local, bound" {
		t.Errorf("after the recipe it is %s", got)
	}
	// A program on this host hands in mail of ours: it gets a ticket, too.
	if err := w.p.Submit(from, []string{"fine@direct.test"}, news("by-hand", "fine@direct.test")); err != nil {
		t.Fatal(err)
	}
	got, err := w.remote.Wait("fine@direct.test", 1)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got[0].Tags("X-Bounce-Ticket")); n != 1 {
		t.Errorf("%d tickets on mail that was handed in:\n%s", n, head(got[0].Message))
	}

	lie := Bounce("lie", from, nil, unknownUser)
	if err := w.p.Submit("<>", []string{from}, lie); err != nil {
		t.Fatal(err)
	}
	if got := claim(t, next(t)); got != "unproven" {
		t.Errorf("what a user hands in from <> is %s", got)
	}
	send(t, w.back, Mail{To: []string{from}, Data: lie})
	if got := claim(t, next(t)); got != "unproven" {
		t.Errorf("what a user sends by SMTP is %s", got)
	}
	// As sendmail(1) talks to postdrop(1), but with attributes that are not his to set.
	var raw bytes.Buffer
	record := func(kind byte, text string) {
		raw.WriteByte(kind)
		for n := len(text); ; n >>= 7 {
			if n < 0x80 {
				raw.WriteByte(byte(n))
				break
			}
			raw.WriteByte(byte(n&0x7f | 0x80))
		}
		raw.WriteString(text)
	}
	for _, a := range []string{"log_client_name=localhost", "log_client_port=0", "mail_source=bounce", "milter_macro_daemon_name=own-bounces", "daemon_name=own-bounces"} {
		record('A', a)
	}
	record('S', "")
	record('R', from)
	record('M', "")
	for line := range strings.Lines(string(lie)) {
		record('N', strings.TrimSuffix(line, "\n"))
	}
	record('X', "")
	record('E', "")
	cmd := exec.Command("postdrop", "-c", w.p.Dir+"/etc", "-r")
	cmd.Stdin = &raw
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := claim(t, next(t)); got != "unproven" {
		t.Errorf("what a user hands to postdrop is %s", got)
	}
}

// The same under Sendmail, in both orders of the milters. It shows its own bounces to no
// milter.
func TestOriginUnderSendmail(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	must := orFail(t)
	key := newKey(t)
	remote, err := l.StartRemote(refuse)
	must(err)
	ports, err := FreePorts(1)
	must(err)
	listen := fmt.Sprintf("inet:%d@127.0.0.1", ports[0])
	startOrigin(t, l, listen, originTable(t, l, key, `"lab.test"`, `networks = ["127.0.0.0/8"]`))
	dkim, err := l.StartOpenDKIM("opendkim", key, "Mode s\n")
	must(err)
	showOnFailure(t, "opendkim", dkim.Log)
	relay, err := l.StartPostfix("relay", PostfixConfig{Services: []Service{{Name: "in"}},
		Main: "myhostname = mx.postfix.test\nvirtual_mailbox_domains =\nrelayhost = [127.0.0.1]:" + port(remote.Addr) + "\n"})
	must(err)
	showOnFailure(t, "relay", relay.Log)
	filter := func(name, socket string) string {
		return fmt.Sprintf("INPUT_MAIL_FILTER(`%s', `S=%s, F=, T=C:60s;S:60s;R:60s;E:60s')dnl\n", name, socket)
	}
	ours, signer := filter("bounce-milter", listen), filter("opendkim", "inet:"+port(dkim.Addr)+"@127.0.0.1")
	for name, filters := range map[string]string{"behind": ours + signer, "before": signer + ours} {
		s, err := l.StartSendmail(name, SendmailConfig{Remote: relay.Addr("in"), MC: filters})
		must(err)
		showOnFailure(t, "sendmail", s.Log)
		from, to := "ann-"+name+"@lab.test", "nobody@remote.test"
		send(t, s.Addr, Mail{From: from, To: []string{to}, Args: "BODY=8BITMIME", Data: news(name, to)})
		got, err := remote.Wait(from, 1)
		must(err)
		bounce := got[0].Raw
		for i, v := range []struct {
			raw  []byte
			want string
		}{
			{bounce, "ours by ticket, bound"},
			{changed(bounce, func(s string) string { return oldTicket.ReplaceAllString(s, "") }), "ours by dkim, bound"},
			{renamed(bounce, to, "victim@remote.test"), "unproven"},
		} {
			box := fmt.Sprintf("box%d-%s@lab.test", i, name)
			send(t, s.Addr, Mail{To: []string{box}, Args: "BODY=8BITMIME", Data: v.raw})
			got, err := remote.Wait(box, 1)
			must(err)
			if c := claim(t, got[0].Message); c != v.want {
				t.Errorf("OpenDKIM %s us, report %d: it is %s, want %s\n%s", name, i, c, v.want, got[0].Raw)
			}
		}
	}
}
