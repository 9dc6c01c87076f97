package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/mta"
	"github.com/bounce-milter/bounce-milter/internal/lab/receiver"
)

// Outage is a trial of a sink that is down for long: the records of all that time are sent
// as fast as possible.
type Outage struct {
	Lab *lab.Lab
	Bin string
	// Spool is whether the daemon has one.
	Spool bool
	// Records is how many come in while the sink is down. Each bounce has
	// Recipients of them.
	Records, Recipients int
}

// Bounds that hold during an outage.
const (
	spoolMax   = 256 << 20 // octets, of the configuration
	segmentMax = 8 << 20   // octets that the spool may hold beyond
	memoryMax  = 16 << 20  // octets of records that wait where there is no spool
	growth     = 1.25      // memory in the last part, of that in the first
	slowdown   = 1.15      // the median of a bounce's time with the sink down, of that with all well
)

// outageClients is how many connections send at a time.
const outageClients = 4

// counter takes signed arrays of records like a program that only counts them.
type counter struct{ records atomic.Int64 }

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var list []json.RawMessage
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &list)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.records.Add(int64(len(list)))
}

// outage is a running Outage.
type outage struct {
	Outage
	daemon *lab.Daemon
	socket string
	spool  string
	down   atomic.Bool
	took   counter

	resident []int64 // octets, in even intervals of the outage
	spooled  int64   // octets that were in the spool at the most
}

// Run runs the trial and returns its figures. The error lists what went wrong, one thing
// per line.
func (o Outage) Run() (figures string, err error) {
	s := &outage{Outage: o, spool: o.Lab.Path("outage.spool")}
	if err := s.start(); err != nil {
		return "", err
	}
	const share = 100 // of the records, with all well before
	before, err := s.send(max(o.Records/share, 20_000))
	if err != nil {
		return "", err
	}
	if err := s.drained(len(before)); err != nil {
		return "", err
	}
	delivered := s.took.records.Load()
	s.down.Store(true)
	began := time.Now()
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(stop) })
	during, err := s.send(o.Records)
	close(stop)
	watching.Wait()
	if err != nil {
		return "", err
	}
	took := time.Since(began)
	s.down.Store(false)
	if err := s.drained(len(before) + len(during)); err != nil {
		return "", err
	}
	m, err := s.daemon.Scrape()
	if err != nil {
		return "", err
	}
	lost := int64(m.Sum("events_dropped_total", `sink="crm"`, `result="overflow"`))
	late, sent := s.took.records.Load()-delivered, int64(len(during)*s.Recipients)
	first, last := s.memory()
	ratio := float64(median(during)) / float64(median(before))
	figures = fmt.Sprintf(`outage of %d records   in %.0f s, %.0f records/s, %s
  time of a bounce       before %s
                         meanwhile %s: %.2f times as long
  resident memory        %d MiB at the most in the first quarter, %d MiB in the last
  spool                  %d MiB at the most
  afterwards             %d records handed over, %d dropped for want of room`, sent, took.Seconds(), float64(sent)/took.Seconds(), s.keeps(),
		spread(before), spread(during), ratio, first>>20, last>>20, s.spooled>>20, late, lost)
	var wrong []string
	most := growth * float64(first)
	if !s.Spool {
		most += memoryMax // which a short outage does not fill in its first quarter
	}
	if float64(last) > most {
		wrong = append(wrong, fmt.Sprintf("resident memory grows from %d to %d MiB", first>>20, last>>20))
	}
	if s.spooled > spoolMax+segmentMax {
		wrong = append(wrong, fmt.Sprintf("the spool holds %d MiB", s.spooled>>20))
	}
	// What is handed over again, because an answer was not waited for, is counted twice.
	if late+lost < sent || late+lost > sent+1000 {
		wrong = append(wrong, fmt.Sprintf("of %d records %d were handed over and %d dropped", sent, late, lost))
	}
	if all := int64(m.Sum("events_dropped_total")); all != lost {
		wrong = append(wrong, fmt.Sprintf("%d records were dropped otherwise", all-lost))
	}
	if ratio > slowdown {
		wrong = append(wrong, fmt.Sprintf("a bounce takes %.2f times as long while the sink is down", ratio))
	}
	if len(wrong) > 0 {
		err = errors.New(strings.Join(wrong, "\n"))
	}
	return figures, err
}

func (s *outage) keeps() string {
	if s.Spool {
		return "with a spool"
	}
	return "in memory alone"
}

// start starts the daemon with a sink that can be down and one that is well.
func (s *outage) start() error {
	if err := os.MkdirAll(s.spool, 0o700); err != nil {
		return err
	}
	url, err := serve(s.Lab, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.down.Load() {
			receiver.Hang().Answer(w, r)
			return
		}
		s.took.ServeHTTP(w, r)
	}))
	if err != nil {
		return err
	}
	spool := ""
	if s.Spool {
		spool = s.spool
	}
	s.socket = s.Lab.Path("outage.sock")
	s.daemon, err = s.Lab.StartDaemon("outage", lab.DaemonConfig{Bin: s.Bin, Listen: []string{"unix:" + s.socket}, Tables: fmt.Sprintf(`
[log]
level = "warn"
[events]
spool = %q
spool_max = "%dMiB"
[[events.sink]]
name = "archive"
type = "file"
path = "/dev/null"
[[events.sink]]
name = "crm"
type = "webhook"
url = "%s/hook"
timeout = "1s"
`, spool, spoolMax>>20, url)})
	return err
}

// send sends so many records as fast as possible, and returns how long each bounce took.
func (s *outage) send(records int) ([]time.Duration, error) {
	left := atomic.Int64{}
	left.Store(int64((records + s.Recipients - 1) / s.Recipients))
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var clients sync.WaitGroup
	for i := range outageClients {
		clients.Go(func() {
			took, err := s.client(i, &left)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if err != nil {
				failed = err
			}
		})
	}
	clients.Wait()
	return all, failed
}

func (s *outage) client(number int, left *atomic.Int64) (took []time.Duration, err error) {
	c, err := mta.Dial("unix", s.socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var about []lab.Refused
	for i := range s.Recipients {
		f := replies[i%len(replies)]
		f.Address = fmt.Sprintf("user%d.%d@remote.test", number, i)
		f.Diagnostic = strings.ReplaceAll(f.Diagnostic, "ADDR", f.Address)
		about = append(about, f)
	}
	m := mta.Parse(mta.Envelope{QueueID: fmt.Sprintf("4D%d", number), To: "bounces@lab.test"}, lab.Bounce("outage", "bounces@lab.test", nil, about...))
	for left.Add(-1) >= 0 {
		began := time.Now()
		if err := c.Send(m); err != nil {
			return nil, fmt.Errorf("sending a bounce: %w", err)
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// watch samples the memory of the daemon and the size of its spool until stop is closed.
func (s *outage) watch(stop <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if rss, err := s.daemon.Resident(); err == nil {
			s.resident = append(s.resident, rss)
		}
		var size int64
		files, _ := os.ReadDir(s.spool) // without a spool it is empty
		for _, f := range files {
			if info, err := f.Info(); err == nil { // else it was just removed
				size += info.Size()
			}
		}
		s.spooled = max(s.spooled, size)
	}
}

// memory is the most that the daemon had in the first quarter of the outage, and in the last.
func (s *outage) memory() (first, last int64) {
	n := len(s.resident)
	if n == 0 {
		return 0, 0
	}
	return slices.Max(s.resident[:(n+3)/4]), slices.Max(s.resident[n*3/4:])
}

// drained waits until the sink has, or never gets, the records of so many bounces.
func (s *outage) drained(bounces int) error {
	const patience = 10 * time.Minute // for the sink is tried once a minute by then
	return lab.UntilIn(patience, "what waits to be handed over", func() (bool, error) {
		m, err := s.daemon.Scrape()
		done := m.Sum("events_total", `sink="crm"`, `result="delivered"`) + m.Sum("events_dropped_total", `sink="crm"`)
		return err == nil && done >= float64(bounces*s.Recipients), err
	})
}

func median(t []time.Duration) time.Duration {
	slices.Sort(t)
	return t[len(t)/2]
}
