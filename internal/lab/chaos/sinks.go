package chaos

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/natslab"
	"github.com/bounce-milter/bounce-milter/internal/lab/receiver"
	"github.com/nats-io/nats.go/jetstream"
)

// Secrets of the stand-ins.
const (
	hookSecret   = "whsec_Y2hhb3MgaXMgYSBmcmllbmQgb2YgbWluZSwgaGUgc2FpZA=="
	listmonkUser = "bounces"
	listmonkKey  = "w3XkQ9aZ"
)

// sinks are where records go: a file, a webhook, listmonk, and a JetStream cluster.
type sinks struct {
	dir    string
	spool  string
	file   string
	parts  []string // what the file was renamed to, oldest first
	crm    *receiver.Native
	lists  *receiver.Listmonk
	urls   [2]string // of crm and lists
	fleet  *natslab.Servers
	js     jetstream.JetStream
	dead   int // the server of the fleet that was killed, -1 for none
	killed int
}

// startSinks starts them, all well.
func startSinks(l *lab.Lab) (s *sinks, err error) {
	s = &sinks{dir: l.Path("chaos-sinks"), dead: -1}
	s.spool, s.file = filepath.Join(s.dir, "spool"), filepath.Join(s.dir, "events.jsonl")
	for _, d := range []string{s.spool, filepath.Join(s.dir, "nats")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	for name, secret := range map[string]string{"crm": hookSecret, "lists": listmonkUser + ":" + listmonkKey} {
		if err := os.WriteFile(filepath.Join(s.dir, name+".secret"), []byte(secret+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	if err := s.unblock(); err != nil {
		return nil, err
	}
	if s.crm, err = receiver.NewNative(hookSecret); err != nil {
		return nil, err
	}
	s.lists = receiver.NewListmonk(listmonkUser, listmonkKey)
	for i, h := range []http.Handler{s.crm, s.lists} {
		if s.urls[i], err = serve(l, h); err != nil {
			return nil, err
		}
	}
	ports, err := lab.FreePorts(6)
	if err != nil {
		return nil, err
	}
	if s.fleet, err = natslab.Start(natslab.Config{Dir: filepath.Join(s.dir, "nats"), Ports: ports}); err != nil {
		return nil, err
	}
	l.Defer(s.fleet.Close)
	nc, js, err := s.fleet.Connect()
	if err != nil {
		return nil, err
	}
	l.Defer(nc.Close)
	s.js = js
	return s, s.fleet.CreateStream(js, "BOUNCES", "bounces.>")
}

// serve starts an HTTP server on the loopback.
func serve(l *lab.Lab, h http.Handler) (url string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("starting a receiver: %w", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: lab.Patience}
	l.Defer(func() { srv.Close() })
	go srv.Serve(ln)
	return "http://" + ln.Addr().String(), nil
}

// tables is the configuration. Sinks differ from one version to another, so that a
// reload changes them.
func (s *sinks) tables(version int) string {
	servers := s.fleet.URLs()
	for i := range servers {
		servers[i] = fmt.Sprintf("%q", servers[i])
	}
	timeout := time.Second + time.Duration(version%5)*10*time.Millisecond
	return fmt.Sprintf(`
[events]
spool = %q

[[events.sink]]
name = "archive"
type = "file"
path = %q

[[events.sink]]
name = "crm"
type = "webhook"
url = "%s/hook?version=%d"
secret_file = "%s/crm.secret"
timeout = "%v"

[[events.sink]]
name = "lists"
type = "webhook"
format = "listmonk"
url = "%s/webhooks/bounce"
secret_file = "%s/lists.secret"
timeout = "%v"

[[events.sink]]
name = "fleet"
type = "nats"
servers = [%s]
stream = "BOUNCES"
`, s.spool, s.file, s.urls[0], version, s.dir, timeout, s.urls[1], s.dir, timeout, strings.Join(servers, ", "))
}

// storm makes both receivers fail in every way, over and over, and lets them accept
// something in between.
func (s *sinks) storm(on bool) {
	if !on {
		s.crm.FailWith(nil)
		s.lists.FailWith(nil)
		return
	}
	faults := receiver.Faults()
	every := func(nth int) func(int) receiver.Fault {
		failed := 0
		return func(request int) receiver.Fault {
			if request%nth != 0 {
				return receiver.Fault{}
			}
			failed++
			return faults[failed%len(faults)]
		}
	}
	s.crm.FailWith(every(2))
	s.lists.FailWith(every(50)) // it gets a request a record
}

// nats kills the server that leads the stream, or starts the one again that it killed before.
func (s *sinks) nats() (err error) {
	if s.dead >= 0 {
		err = s.fleet.Restart(s.dead)
		s.dead = -1
		return err
	}
	if s.dead, err = s.fleet.Leader(s.js, "BOUNCES"); err != nil {
		s.dead = -1
		return fmt.Errorf("looking for the stream's leader: %w", err)
	}
	s.fleet.Kill(s.dead)
	s.killed++
	return nil
}

// block moves the file away and leaves a pipe in its place that nobody reads, so that
// the sink fails.
func (s *sinks) block(round int) error {
	part, pipe := fmt.Sprintf("%s.%d", s.file, round), s.file+".pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		return fmt.Errorf("blocking the file: %w", err)
	}
	if err := os.Link(s.file, part); err != nil {
		return fmt.Errorf("blocking the file: %w", err)
	}
	s.parts = append(s.parts, part)
	return os.Rename(pipe, s.file)
}

// unblock puts an empty file into the place of the pipe, if there is one. It is there at
// all times: one that the sink made while it is blocked again would be lost.
func (s *sinks) unblock() error {
	if info, err := os.Stat(s.file); err == nil && info.Mode().IsRegular() {
		return nil
	}
	fresh := s.file + ".new"
	if err := os.WriteFile(fresh, nil, 0o600); err != nil {
		return fmt.Errorf("unblocking the file: %w", err)
	}
	return os.Rename(fresh, s.file)
}

// mend ends every trouble.
func (s *sinks) mend() error {
	s.storm(false)
	if err := s.unblock(); err != nil {
		return err
	}
	if s.dead >= 0 {
		return s.nats()
	}
	return nil
}

// problems is what the receivers complain of, and what was parked.
func (s *sinks) problems() (wrong []string) {
	for _, p := range s.crm.Problems() {
		wrong = append(wrong, "crm: "+p)
	}
	for _, p := range s.lists.Problems() {
		wrong = append(wrong, "lists: "+p)
	}
	parked, err := filepath.Glob(filepath.Join(s.spool, "*.parked.jsonl"))
	if err != nil || len(parked) > 0 {
		wrong = append(wrong, fmt.Sprintf("records were refused for good: %v, %v", parked, err))
	}
	return wrong
}

func (s *sinks) figures() string {
	return fmt.Sprintf(`requests                 %d to the webhook, %d to listmonk
JetStream servers        %d kills`, s.crm.Requests(), s.lists.Requests(), s.killed)
}
