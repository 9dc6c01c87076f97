// Command bench compares bounce-milter with milters that do nothing, one on plain
// go-milter and one on libmilter, in one run: on the milter wire, and under a private
// Postfix with smtp-source. The rounds alternate between the milters. Every figure is a
// median over the rounds, and every ratio is the median of the ratios within each round,
// so that other load on the machine affects all alike. The tables are Markdown.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/mta"
)

func main() { os.Exit(run()) }

func run() int {
	bin := flag.String("bin", "bin/bounce-milter", "the program to measure")
	rounds := flag.Int("rounds", 5, "rounds")
	limit := flag.Duration("time", 700*time.Millisecond, "time of one measurement on the wire")
	count := flag.Int("count", 500, "messages of one measurement under Postfix")
	wire := flag.Bool("wire", true, "measure on the wire")
	postfix := flag.Bool("postfix", true, "measure under Postfix")
	watched := flag.Bool("watched", true, "measure while metrics are read")
	only := flag.String("only", "", "measure only lines that match this regular expression, and those without a milter")
	flag.Parse()
	b := &bench{rounds: *rounds, limit: *limit, count: *count}
	var err error
	if b.only, err = regexp.Compile(*only); err != nil {
		fmt.Fprintln(os.Stderr, "bench: -only:", err)
		return 2
	}
	if err := b.run(*bin, *wire, *watched, *postfix); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// bench is one run.
type bench struct {
	rounds int
	limit  time.Duration
	count  int
	only   *regexp.Regexp

	lab     *lab.Lab
	sockets string // a folder that Postfix can reach
	filters []*filter
}

// plainName is the name of our filter with the default configuration.
const plainName = "bounce-milter"

// ticketsName is the name of the filter that puts tickets on mail from ticketsFrom.
const (
	ticketsName = "bounce-milter with tickets"
	ticketsFrom = "ann@tickets.test"
)

// filter is a milter under measurement, which listens on both kinds of sockets. If it can
// listen only once, it runs as two processes.
type filter struct {
	name string
	unix string // path
	tcp  string // address
	proc map[string]*lab.Process
	own  bool

	metrics string // address, of ours
	keep    bool   // ours with forged_headers = "keep" and look_at = "envelope"
}

func (f *filter) addr(network string) string {
	if network == "unix" {
		return f.unix
	}
	return f.tcp
}

// spec returns a filter's socket as Postfix spells it.
func (f *filter) spec(network string) string {
	if network == "unix" {
		return "unix:milter/" + filepath.Base(f.unix)
	}
	return "inet:" + f.tcp
}

func (b *bench) run(bin string, wire, watched, postfix bool) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	if b.lab, err = lab.New(); err != nil {
		return err
	}
	defer b.lab.Close()
	if b.sockets, err = b.lab.SocketDir("postfix"); err != nil {
		return err
	}
	if err := b.start(bin); err != nil {
		return err
	}
	fmt.Printf("%d rounds, medians; %s, %d CPUs, %s\n\n", b.rounds, runtime.Version(), runtime.NumCPU(), cpuName())
	if wire {
		if err := b.onTheWire(); err != nil {
			return err
		}
	}
	if watched {
		if err := b.whileWatched(); err != nil {
			return err
		}
	}
	if postfix {
		return b.underPostfix()
	}
	return nil
}

// start starts the filters.
func (b *bench) start(bin string) error {
	ports, err := lab.FreePorts(8)
	if err != nil {
		return err
	}
	events, err := b.events()
	if err != nil {
		return err
	}
	tickets, err := b.tickets(bin)
	if err != nil {
		return err
	}
	for i, own := range []struct{ id, name, top, tables string }{
		{"ours", plainName, "", ""},
		{"keep", "bounce-milter", "forged_headers = \"keep\"\nlook_at = \"envelope\"\n", ""},
		{"rcpt", "bounce-milter with recipients", "", "[verp]\npatterns = [\"bounces+{local}={domain}@lists.lab.test\"]\n"},
		{"events", "bounce-milter with events", "", events},
		{"acts", "bounce-milter with twenty actions", "", twentyActions()},
		{"tickets", ticketsName, "", tickets},
	} {
		f := &filter{name: own.name, own: true, keep: own.id == "keep", tcp: lab.Loopback(ports[i]), proc: map[string]*lab.Process{}}
		f.unix = b.sockets + "/" + own.id + ".sock"
		d, err := b.lab.StartDaemon(own.id, lab.DaemonConfig{Bin: bin, Listen: []string{"unix:" + f.unix, "inet:" + f.tcp},
			Top: "socket_group = \"postfix\"\n" + own.top, Tables: own.tables})
		if err != nil {
			return err
		}
		f.proc["unix"], f.proc["tcp"], f.metrics = d.Process, d.Process, d.Metrics
		b.filters = append(b.filters, f)
	}
	goNoop, cNoop := b.lab.Path("noop-go"), b.lab.Path("noop-c")
	if err := lab.Build("./internal/lab/bench/noop", goNoop, "-buildvcs=false"); err != nil {
		return err
	}
	if err := b.noop("go-milter, no-op", goNoop, lab.Loopback(ports[6]), func(network, addr string) []string {
		return []string{network, addr}
	}); err != nil {
		return err
	}
	root, err := lab.ModuleRoot()
	if err != nil {
		return err
	}
	if out, err := exec.Command("cc", "-O2", "-o", cNoop, filepath.Join(root, "internal/lab/bench/testdata/noop.c"), "-lmilter", "-lpthread").CombinedOutput(); err != nil {
		fmt.Printf("libmilter is left out, it does not build here: %s\n", strings.TrimSpace(string(out)))
		return nil
	}
	return b.noop("libmilter, no-op", cNoop, lab.Loopback(ports[7]), func(network, addr string) []string {
		if network == "unix" {
			return []string{"unix:" + addr}
		}
		host, port, _ := strings.Cut(addr, ":")
		return []string{"inet:" + port + "@" + host}
	})
}

// tickets configures tickets on the mail of one domain.
func (b *bench) tickets(bin string) (table string, err error) {
	keys := b.lab.Path("ticket.keys")
	if out, err := exec.Command(bin, "ticket", "keygen", "--append", keys).CombinedOutput(); err != nil {
		return "", fmt.Errorf("making a key: %w: %s", err, out)
	}
	return fmt.Sprintf("[origin]\ndomains = [\"tickets.test\"]\nnetworks = [\"127.0.0.0/8\", \"192.0.2.0/24\"]\nticket = true\nkey_file = %q\n", keys), nil
}

// events configures a spool with a file and a webhook that read behind it, and starts the
// webhook's receiver, which accepts everything unread.
func (b *bench) events() (tables string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go http.Serve(ln, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a sender that is gone is the sender's business
	}))
	spool := b.lab.Path("spool")
	if err := os.Mkdir(spool, 0o700); err != nil {
		return "", err
	}
	return fmt.Sprintf(`[events]
spool = %q
[[events.sink]]
name = "file"
type = "file"
path = %q
[[events.sink]]
name = "hook"
type = "webhook"
url = "http://%s/"
`, spool, b.lab.Path("events.jsonl"), ln.Addr()), nil
}

// twentyActions are actions of every kind. Each bounce of the bench is compared with all of
// them and matches none, so it is tagged as without them.
func twentyActions() string {
	does := []string{`redirect = ["dead@lab.test"]`, `copy = ["archive@lab.test"]`, `quarantine = true`, `reject = true`, `none = true`}
	var b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&b, "[[action]]\nname = \"a%d\"\nmatch = { category = [\"invalid-address\", \"mailbox\"], type = [\"hard\"], recipient = [\"*+%[1]d@*.test\", \"user%[1]d*@remote.test\"] }\n%s\n", i, does[i%len(does)])
	}
	return b.String()
}

// noop starts a filter that can listen only once, once for each kind of socket.
func (b *bench) noop(name, path, tcp string, args func(network, addr string) []string) error {
	id := filepath.Base(path)
	f := &filter{name: name, unix: b.sockets + "/" + id + ".sock", tcp: tcp, proc: map[string]*lab.Process{}}
	for _, network := range []string{"unix", "tcp"} {
		addr := f.addr(network)
		p, err := b.lab.Start(lab.Spec{Name: id, Path: path, Args: args(network, addr), Log: b.lab.Path(id + ".log")})
		if err != nil {
			return err
		}
		f.proc[network] = p
		if err := p.UntilItListens(network, addr); err != nil {
			return err
		}
	}
	b.filters = append(b.filters, f)
	return nil
}

// sample is one measurement.
type sample struct {
	rate float64 // messages a second
	cpu  float64 // processor time of the filter, microseconds a message
}

// cell is one line of a table: what is measured, and its samples.
type cell struct {
	what    string
	filter  *filter // nil: no milter
	network string
	msg     *mta.Message // on the wire
	service string       // under Postfix
	file    string       // likewise
	from    string       // likewise
	samples []sample
}

// wanted reports whether a cell is to be measured.
func (b *bench) wanted(c *cell) bool {
	return c.filter == nil || b.only.MatchString(c.what+" "+c.network)
}

// against returns the ratio of this cell's rate to another's: the median of the ratios
// within each round.
func (c *cell) against(o *cell) float64 {
	var v []float64
	for i := range min(len(c.samples), len(o.samples)) {
		v = append(v, c.samples[i].rate/o.samples[i].rate)
	}
	return middle(v)
}

func (c *cell) rate() float64 { return median(c.samples, func(s sample) float64 { return s.rate }) }
func (c *cell) cpu() float64  { return median(c.samples, func(s sample) float64 { return s.cpu }) }

// resident returns the filter's memory in MiB.
func (c *cell) resident() string {
	if c.filter == nil {
		return "–"
	}
	rss, err := c.filter.proc[c.network].Resident()
	if err != nil {
		return "?"
	}
	return fmt.Sprint(rss >> 20)
}

func median(s []sample, of func(sample) float64) float64 {
	var v []float64
	for _, x := range s {
		v = append(v, of(x))
	}
	return middle(v)
}

func middle(v []float64) float64 {
	slices.Sort(v)
	if len(v) == 0 {
		return 0
	}
	return v[len(v)/2]
}

// measured takes one sample of a cell: do sends messages and says how many.
func measured(c *cell, do func() (int, time.Duration, error)) error {
	var before time.Duration
	var err error
	if c.filter != nil {
		if before, err = c.filter.proc[c.network].CPU(); err != nil {
			return err
		}
	}
	n, took, err := do()
	if err != nil {
		return fmt.Errorf("%s, %s: %w", c.what, c.network, err)
	}
	s := sample{rate: float64(n) / took.Seconds()}
	if c.filter != nil {
		after, err := c.filter.proc[c.network].CPU()
		if err != nil {
			return err
		}
		s.cpu = float64((after - before).Microseconds()) / float64(n)
	}
	c.samples = append(c.samples, s)
	return nil
}

// label names a filter and the mail that it gets.
func label(f *filter, what string) string {
	name := f.name + ", " + what
	if f.name == ticketsName && what == "ordinary mail" {
		return name + " from outside"
	}
	if f.own && what == "ordinary mail" {
		if f.keep {
			name += ", `forged_headers = \"keep\"`, `look_at = \"envelope\"`"
		} else {
			name += ", `forged_headers = \"remove\"`"
		}
	}
	return name
}

// mails are the messages that are sent: a bounce of 5 KB with 25 header fields
// and an ordinary mail of the same form and size.
func mails() (bounce, ordinary []byte) {
	var extra []string
	for i := range 16 {
		extra = append(extra, fmt.Sprintf("X-Trace-%02d: from relay%d.remote.test by mx.remote.test; Mon, 2 Nov 2026 09:59:%02d +0000", i, i, i))
	}
	bounce = lab.Bounce("bench", "user@lab.test", extra, lab.Refused{
		Address: "gone@remote.test", Status: "5.1.1", RemoteMTA: "mx.remote.test",
		Diagnostic: "550 5.1.1 <gone@remote.test>: Recipient address rejected: User unknown in virtual mailbox table",
	})
	fill := max(0, 5<<10-len(bounce))
	lines := strings.Repeat(strings.Repeat("w", 63)+"\n", fill/64)
	bounce = []byte(strings.Replace(string(bounce), "\nHello.\n", "\n"+lines, 1))
	for i := range 2 {
		extra = append(extra, fmt.Sprintf("X-More-%d: so that both have as many", i))
	}
	return bounce, lab.Ordinary("bench", "user@lab.test", extra, 5<<10)
}

// cpuName returns the name of the processor, for comparing tables.
func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return "unknown processor"
}
