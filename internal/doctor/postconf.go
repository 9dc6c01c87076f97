package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// postfix is what a Postfix says about itself.
type postfix struct {
	version  string
	major    int
	minor    int
	values   map[string]string // of main.cf and the defaults, not expanded
	services []service
}

// service is an entry of master.cf.
type service struct {
	name, kind, chroot, command string
	options                     map[string]string // of -o
}

// where names a service as postconf does.
func (s *service) where() string { return s.name + "/" + s.kind }

// askPostfix asks postconf. It returns an error that is [exec.ErrNotFound] where there is
// no Postfix.
func (r *report) askPostfix() (*postfix, error) {
	out, err := r.run("postconf")
	if err != nil && out == "" {
		return nil, err
	}
	p := &postfix{values: map[string]string{}}
	for line := range strings.Lines(out) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ="); ok {
			p.values[name] = strings.TrimSpace(value)
		}
	}
	p.version = p.values["mail_version"]
	major, rest, _ := strings.Cut(p.version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	p.major, _ = strconv.Atoi(major)
	p.minor, _ = strconv.Atoi(minor)
	dir := p.values["config_directory"]
	// Up to Postfix 2.8, postconf names only parameters that Postfix knows.
	if data, err := os.ReadFile(filepath.Join(dir, "main.cf")); err == nil {
		for _, line := range logicalLines(string(data)) {
			name, value, ok := strings.Cut(line, "=")
			name = strings.TrimSpace(name)
			if _, known := p.values[name]; ok && !known {
				p.values[name] = strings.TrimSpace(value)
			}
		}
	}
	master, err := r.run("postconf", "-M")
	if err != nil || master == "" { // before Postfix 2.9
		data, _ := os.ReadFile(filepath.Join(dir, "master.cf"))
		master = string(data)
	}
	for _, line := range logicalLines(master) {
		if s, ok := readService(line); ok {
			p.services = append(p.services, s)
		}
	}
	return p, nil
}

// logicalLines joins the lines of a file of Postfix: one that begins with a space goes
// on from the one before.
func logicalLines(text string) []string {
	var lines []string
	var whole strings.Builder
	end := func() {
		if whole.Len() > 0 {
			lines = append(lines, whole.String())
			whole.Reset()
		}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#':
		case line[0] == ' ' || line[0] == '\t':
			if whole.Len() > 0 {
				whole.WriteString(" " + trimmed)
			}
		default:
			end()
			whole.WriteString(trimmed)
		}
	}
	end()
	return lines
}

// readService reads an entry of master.cf.
func readService(line string) (service, bool) {
	words := split(line, " \t")
	if len(words) < 8 {
		return service{}, false
	}
	s := service{name: words[0], kind: words[1], chroot: words[4], command: filepath.Base(words[7]), options: map[string]string{}}
	args := words[8:]
	for i := 0; i < len(args); i++ {
		option, ok := strings.CutPrefix(args[i], "-o")
		if !ok {
			continue
		}
		if option == "" && i+1 < len(args) {
			i++
			option = args[i]
		}
		name, value, _ := strings.Cut(inBraces(option), "=")
		s.options[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return s, true
}

// split splits a list as Postfix does: what stands in braces is one item.
func split(s, separators string) []string {
	var items []string
	depth, from := 0, -1
	for i := 0; i < len(s); i++ {
		between := depth == 0 && strings.IndexByte(separators, s[i]) >= 0
		switch {
		case between && from >= 0:
			items, from = append(items, s[from:i]), -1
		case !between && from < 0:
			from = i
		}
		switch s[i] {
		case '{':
			depth++
		case '}':
			depth = max(0, depth-1)
		}
	}
	if from >= 0 {
		items = append(items, s[from:])
	}
	return items
}

// inBraces returns what stands in braces, and other text as it is.
func inBraces(s string) string {
	if strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}") && len(s) > 1 {
		return strings.TrimSpace(s[1 : len(s)-1])
	}
	return s
}

// value returns a parameter for a service (nil for none), expanded, and the names in it
// that are not defined.
func (p *postfix) value(name string, s *service) (value string, missing []string) {
	return p.expand(p.raw(name, s), s)
}

// raw returns a parameter as it is written.
func (p *postfix) raw(name string, s *service) string {
	if s != nil {
		if v, ok := s.options[name]; ok {
			return v
		}
	}
	return p.values[name]
}

// Bounds on expansion: Postfix gives up too.
const (
	maxDeep   = 20
	maxOctets = 64 << 10
	maxNames  = 10_000 // that are looked up for one value
)

// expand puts values in place of $name, ${name} and $(name), with ?text and :text as
// postconf(5) says. It returns the names that are not defined, too.
func (p *postfix) expand(s string, svc *service) (string, []string) {
	x := expansion{postfix: p, service: svc}
	out := x.expand(s, 0)
	slices.Sort(x.missing)
	return out, slices.Compact(x.missing)
}

// expansion is one value being expanded.
type expansion struct {
	*postfix
	service *service
	names   int // that were looked up: values may name each other many times
	missing []string
}

func (x *expansion) expand(s string, deep int) string {
	svc := x.service
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() < maxOctets; i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		name, test := "", ""
		switch s[i] {
		case '$':
			b.WriteByte('$')
			continue
		case '{', '(':
			end := closing(s, i)
			if end < 0 {
				return b.String()
			}
			name = s[i+1 : end]
			if k := strings.IndexAny(name, "?:"); k >= 0 {
				name, test = name[:k], name[k:]
			}
			i = end
		default:
			end := i
			for end < len(s) && isName(s[end]) {
				end++
			}
			name = s[i:end]
			i = end - 1
		}
		if x.names++; x.names > maxNames {
			return b.String()
		}
		name = strings.TrimSpace(name)
		_, known := x.values[name]
		if svc != nil && !known {
			_, known = svc.options[name]
		}
		text := x.raw(name, svc)
		switch {
		case test != "":
			then, otherwise := alternatives(test)
			if text == "" {
				then = otherwise
			}
			text = then
		case !known && name != "":
			x.missing = append(x.missing, name)
		}
		if deep < maxDeep {
			b.WriteString(x.expand(text, deep+1))
		}
	}
	return b.String()
}

// alternatives reads "?then", ":otherwise" and "?{then}:{otherwise}".
func alternatives(test string) (then, otherwise string) {
	if test[0] == ':' {
		return "", inBraces(test[1:])
	}
	test = strings.TrimSpace(test[1:])
	if end := closing(test, 0); strings.HasPrefix(test, "{") && end > 0 {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(test[end+1:]), ":"); ok {
			otherwise = inBraces(strings.TrimSpace(rest))
		}
		return strings.TrimSpace(test[1:end]), otherwise
	}
	return test, ""
}

// closing returns where the bracket at a place is closed, -1 if nowhere.
func closing(s string, at int) int {
	depth := 0
	for i := at; i < len(s); i++ {
		switch s[i] {
		case '{', '(':
			depth++
		case '}', ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func isName(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// chrooted reports whether a service runs in the queue directory.
func (p *postfix) chrooted(s *service) bool {
	if s.chroot != "-" {
		return s.chroot == "y"
	}
	level, _ := strconv.ParseFloat(p.values["compatibility_level"], 64)
	return p.major < 3 || level < 1
}

// queue is the queue directory.
func (p *postfix) queue() string {
	dir, _ := p.value("queue_directory", nil)
	return filepath.Clean("/" + dir)
}
