package doctor

import (
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/milter"
)

// postfixCheck looks at one Postfix.
type postfixCheck struct {
	*report
	*postfix
	sockets []milter.Socket
	asked   []string // connections that were tried
}

// postfix looks at Postfix. It reports whether there is one.
func (r *report) postfix(sockets []milter.Socket) bool {
	p, err := r.askPostfix()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return false
	case err != nil:
		r.add("postfix", Unknown, nil, "postconf does not say how Postfix is set up: %v", err)
		return true
	}
	c := &postfixCheck{report: r, postfix: p, sockets: sockets}
	r.good("postfix", "Postfix %s, configured in %s", p.version, p.values["config_directory"])
	c.incoming()
	c.own()
	r.intake = c.door()
	return true
}

// command is a command of Postfix for the instance that was looked at.
func (c *postfixCheck) command(words ...string) string {
	if dir := c.values["config_directory"]; dir != "/etc/postfix" && dir != "" {
		words = slices.Insert(words, 1, "-c", dir)
	}
	return "sudo " + quote(words...)
}

// set returns the command that sets parameters, "name = value".
func (c *postfixCheck) set(settings ...string) []string {
	return []string{c.command(append([]string{"postconf", "-e"}, settings...)...) + " && " + c.command("postfix", "reload")}
}

// dropOverride returns the command that takes what one service has of its own out of
// master.cf.
func (c *postfixCheck) dropOverride(s *service, name string) []string {
	if c.major < 2 || c.major == 2 && c.minor < 11 {
		return []string{"sudoedit " + quote(filepath.Join(c.values["config_directory"], "master.cf"))}
	}
	return []string{c.command("postconf", "-PX", s.where()+"/"+name) + " && " + c.command("postfix", "reload")}
}

// ours is the entry for bounce-milter that a list should have.
func (c *postfixCheck) ours() string {
	at := ""
	for _, s := range c.sockets {
		switch {
		case at != "":
		case s.Network == "unix":
			at = "unix:" + s.Address
			if inside, err := filepath.Rel(c.queue(), s.Address); err == nil && !strings.HasPrefix(inside, "..") {
				at = "unix:" + inside
			}
		case strings.HasPrefix(s.Network, "tcp"):
			at = "inet:" + s.Address
			if strings.HasPrefix(s.Address, ":") {
				at = "inet:127.0.0.1" + s.Address
			}
		}
	}
	if at == "" {
		at = "inet:127.0.0.1:8894"
	}
	if c.major < 3 {
		return at
	}
	return "{ " + at + ", default_action=accept, command_timeout=3s }"
}

// with adds an entry to a list as it is written.
func with(raw, entry string) string {
	if raw == "" {
		return entry
	}
	return strings.TrimRight(raw, ", \t") + ", " + entry
}

// isIntake reports whether mail from elsewhere comes in by a service: by port 25, or from
// postscreen. If no service looks like that, any of them may take it in.
func (c *postfixCheck) isIntake(s *service) bool {
	looks := func(s *service) bool {
		if s.command != "smtpd" {
			return false
		}
		port := s.name[strings.LastIndexByte(s.name, ':')+1:]
		return port == "smtp" || port == "25" || s.kind == "pass"
	}
	for i := range c.services {
		if looks(&c.services[i]) {
			return looks(s)
		}
	}
	return true
}

// incoming looks at the milters for mail that comes in by SMTP.
func (c *postfixCheck) incoming() {
	const name = "smtpd_milters"
	shared := false // the value of main.cf was looked at
	for i := range c.services {
		s := &c.services[i]
		if s.command != "smtpd" {
			continue
		}
		if _, own := s.options[name]; !own && !c.noMilters(s) {
			if !shared || c.chrooted(s) {
				c.list(name, s)
			}
			shared = true
			continue
		}
		value, missing := c.value(name, s)
		list := readEntries(value)
		at := find(list, c.sockets, c.queue(), c.chrooted(s))
		switch {
		case at >= 0 && !c.noMilters(s):
			c.list(name, s)
		case !c.isIntake(s):
			c.add("master.cf", Note, nil, "%s does not show its mail to bounce-milter, which is right for mail that was seen before, or is sent", s.where())
		case c.noMilters(s):
			c.wrong("master.cf", c.dropOverride(s, "receive_override_options"),
				"%s takes in mail with receive_override_options=no_milters, so bounces that come in there are not read", s.where())
		default:
			c.undefined(name, missing, s)
			c.wrong("master.cf", c.dropOverride(s, name),
				"%s takes in mail with -o %s=%s, which does not name bounce-milter: what main.cf says does not hold there", s.where(), name, s.options[name])
		}
	}
}

func (c *postfixCheck) noMilters(s *service) bool {
	value, _ := c.value("receive_override_options", s)
	return slices.Contains(split(value, ", \t"), "no_milters")
}

// own looks at the milters for bounces that Postfix makes itself.
func (c *postfixCheck) own() {
	var cleanup *service
	for i := range c.services {
		if c.services[i].command == "cleanup" && (cleanup == nil || c.services[i].name == "cleanup") {
			cleanup = &c.services[i]
		}
	}
	if cleanup == nil {
		cleanup = &service{chroot: "-"}
	}
	c.list("non_smtpd_milters", cleanup)
	const classes = "internal_mail_filter_classes"
	value, _ := c.value(classes, cleanup)
	if slices.Contains(split(value, ", \t"), "bounce") {
		c.good(classes, "Postfix shows its own bounces to milters")
		return
	}
	c.wrong(classes, c.set(classes+" = "+with(c.values[classes], "bounce")),
		"%s is %q, without bounce: Postfix shows its own bounces to no milter", classes, value)
}

// undefined complains about names that main.cf does not define.
func (c *postfixCheck) undefined(name string, missing []string, s *service) {
	for _, m := range missing {
		raw := strings.NewReplacer("${"+m+"}", "", "$("+m+")", "", "$"+m, "").Replace(c.raw(name, s))
		c.wrong("value", c.set(name+" = "+strings.Join(split(raw, ", \t"), ", ")),
			"%s names $%s, which main.cf does not define: Postfix puts nothing in its place. Define it, or take it out", name, m)
	}
}

// list looks at a list of milters, for a service.
func (c *postfixCheck) list(name string, s *service) {
	value, missing := c.value(name, s)
	c.undefined(name, missing, s)
	list := readEntries(value)
	chroot := c.chrooted(s)
	at := find(list, c.sockets, c.queue(), chroot)
	if at < 0 {
		c.absent(name, s, list)
		return
	}
	c.good(name, "names bounce-milter: %s", list[at].raw)
	c.action(name, s, &list[at])
	c.order(name, s, list, at)
	c.connect(s, &list[at])
}

// absent says what a list names in our place.
func (c *postfixCheck) absent(name string, s *service, list []entry) {
	mend := c.set(name + " = " + with(c.raw(name, s), c.ours()))
	for i := range list {
		e := &list[i]
		for _, our := range c.sockets {
			switch {
			case e.network != our.Network && !(e.network == "tcp" && strings.HasPrefix(our.Network, "tcp")):
			case our.Network == "unix" && filepath.Clean("/"+e.address) == filepath.Clean(our.Address) && c.chrooted(s):
				c.outside(name, s, e, our)
				return
			case our.Network == "unix" && filepath.Base(e.address) == filepath.Base(our.Address),
				our.Network != "unix" && (strings.HasPrefix(e.address, "127.0.0.1:") || strings.HasPrefix(e.address, "localhost:")) && len(list) == 1:
				raw := strings.Replace(c.raw(name, s), e.raw, c.ours(), 1)
				c.wrong(name, c.set(name+" = "+raw), "names %s, but bounce-milter listens on %s", e.raw, our)
				return
			}
		}
	}
	what := "mail that comes in is not read"
	if name == "non_smtpd_milters" {
		what = "bounces that this Postfix makes itself are not read"
	}
	c.wrong(name, mend, "does not name bounce-milter, so %s", what)
}

// outside says that a chrooted service does not reach a socket, and how to move it.
func (c *postfixCheck) outside(name string, s *service, e *entry, our milter.Socket) {
	folder := filepath.Join(c.queue(), "bounce-milter")
	socket := filepath.Join(folder, filepath.Base(our.Address))
	user := "bounce-milter"
	raw := strings.Replace(c.raw(name, s), e.raw, strings.Replace(e.raw, e.address, "bounce-milter/"+filepath.Base(our.Address), 1), 1)
	mend := []string{
		"sudo mkdir -p -m 0750 " + quote(folder) + " && sudo chown " + user + ":postfix " + quote(folder),
		"sudoedit " + quote(c.configFile()) + ` # listen = ["unix:` + socket + `"] and socket_group = "postfix"`,
		"printf " + quote(`[Service]\nSupplementaryGroups=postfix\nReadWritePaths=`+folder+`\n`) +
			" | sudo install -D -m 644 /dev/stdin /etc/systemd/system/bounce-milter.service.d/postfix.conf",
		"sudo systemctl daemon-reload && sudo systemctl restart bounce-milter",
	}
	mend = append(mend, c.set(name+" = "+raw)...)
	c.wrong("socket", mend, "%s runs in %s (chroot), where %s is another path: it looks for %s",
		s.where(), c.queue(), our.Address, filepath.Join(c.queue(), e.address))
}

func (r *report) configFile() string {
	if r.Config != "" {
		return r.Config
	}
	return "/etc/bounce-milter/config.toml"
}

// action looks at what Postfix does with mail when we do not answer.
func (c *postfixCheck) action(name string, s *service, e *entry) {
	const check = "default_action"
	action, own := e.options[check]
	if !own {
		action, _ = c.value("milter_default_action", s)
	}
	switch action {
	case "accept":
		c.good(check, "while bounce-milter is down, mail of %s passes untagged", name)
		return
	case "":
		action = "tempfail"
	}
	mend := c.set("milter_default_action = accept")
	if c.major >= 3 {
		if raw, at := c.holder(name, s, e.raw); at != "" {
			mend = c.set(at + " = " + strings.Replace(raw, e.raw, e.accepting(), 1))
		}
	}
	what := map[string]string{"tempfail": "senders must try again", "reject": "mail is refused for good", "shutdown": "connections are closed",
		"quarantine": "mail is put on hold"}[action]
	c.wrong(check, mend, "%s has the action %s for us: while bounce-milter is down, %s", name, action, what)
}

// holder returns the parameter that contains an entry: name, or one that name refers to.
func (c *postfixCheck) holder(name string, s *service, entry string) (raw, at string) {
	if raw := c.raw(name, s); strings.Contains(raw, entry) {
		if _, own := s.options[name]; !own {
			return raw, name
		}
		return "", ""
	}
	for other, raw := range c.values {
		if strings.Contains(raw, entry) && strings.Contains(c.raw(name, s), "$"+other) {
			return raw, other
		}
	}
	return "", ""
}

// accepting is the entry with the right action.
func (e *entry) accepting() string {
	kind := "inet:"
	if e.network == "unix" {
		kind = "unix:"
	}
	parts := []string{kind + e.address, "default_action=accept"}
	for _, name := range []string{"command_timeout", "connect_timeout", "content_timeout", "protocol"} {
		if v := e.options[name]; v != "" {
			parts = append(parts, name+"="+v)
		}
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// order looks at our place in a list.
func (c *postfixCheck) order(name string, s *service, list []entry, at int) {
	if at == len(list)-1 {
		if at > 0 {
			c.good("order", "bounce-milter is the last of %d in %s", len(list), name)
		}
		return
	}
	var behind, sorted []string
	for i, e := range list {
		if i > at {
			behind = append(behind, e.raw)
		}
		if i != at {
			sorted = append(sorted, e.raw)
		}
	}
	sorted = append(sorted, list[at].raw)
	var mend []string
	if _, own := s.options[name]; !own {
		mend = c.set(name + " = " + strings.Join(sorted, ", "))
	}
	c.add("order", Warning, mend, "in %s, %s comes behind bounce-milter: a milter that verifies signatures, or refuses mail, must come before it",
		name, strings.Join(behind, " and "))
}

// connect tries the connection that a service makes.
func (c *postfixCheck) connect(s *service, e *entry) {
	chroot := ""
	if c.chrooted(s) && e.network == "unix" {
		chroot = c.queue()
	}
	tried := chroot + " " + e.raw
	if slices.Contains(c.asked, tried) {
		return
	}
	c.asked = append(c.asked, tried)
	owner, _ := c.value("mail_owner", nil)
	v := visitor{user: owner, chroot: chroot, network: e.network, address: e.address}
	if e.network == "unix" && chroot == "" {
		v.address = e.path(c.queue(), false)
	}
	c.visit(&v)
	if c.line == nil {
		c.line = &v
	}
}
