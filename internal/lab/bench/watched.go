package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/mta"
)

// What readers of the metrics listener ask for: with the default number of rounds, ten
// thousand scrapes in all. They are as many as the daemon lets have a connection, so that
// the rate is kept although it pauses between pages.
const (
	scrapesPerSecond = 1000
	viewsPerSecond   = 100
	scrapers         = 12
	viewers          = 3
	watchTime        = 2 * time.Second
	mailEvery        = 2 * time.Millisecond
)

// watch says whose metrics are read while bounces are sent to a daemon, and holds what was
// measured meanwhile.
type watch struct {
	what    string
	metrics string // address, "" for nobody
	rounds  []latencies
	scrapes int64
	views   int64
}

// latencies are sorted.
type latencies []time.Duration

func (l latencies) at(share float64) time.Duration { return l[int(share*float64(len(l)-1))] }

// whileWatched measures how long a bounce takes in four cases: nobody reads metrics; they are
// read from a server that has them ready, which shows what the readers themselves take of the
// machine; those of another daemon are read, which adds the making of pages; and those of the
// measured daemon are read, so that pages are made in the process that mail waits for.
func (b *bench) whileWatched() error {
	own := slices.DeleteFunc(slices.Clone(b.filters), func(f *filter) bool { return !f.own })
	ours, neighbour := own[0], own[1]
	raw, _ := mails()
	m := mta.Parse(mta.Envelope{QueueID: "4ABCD", To: "user@lab.test"}, raw)
	ready, err := b.ready(neighbour.metrics)
	if err != nil {
		return err
	}
	watches := []*watch{{what: "nobody's"}, {what: "ready ones", metrics: ready}, {what: "those of another daemon", metrics: neighbour.metrics}, {what: "its own", metrics: ours.metrics}}
	for range b.rounds {
		for _, w := range watches {
			if err := w.round(ours.unix, m); err != nil {
				return err
			}
		}
	}
	fmt.Printf("### While metrics are read\n\nA bounce every %s on one unix socket, while %d scrapes and %d page views a second read metrics.\n\n",
		mailEvery, scrapesPerSecond, viewsPerSecond)
	fmt.Print("| metrics read | scrapes | page views | median µs | × nobody | × ready | × another | 90 % µs | × nobody | × ready | × another | 99 % µs | × nobody | × ready | × another |\n")
	fmt.Print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, w := range watches {
		fmt.Printf("| %s | %d | %d", w.what, w.scrapes, w.views)
		for _, share := range []float64{0.5, 0.9, 0.99} {
			fmt.Printf(" | %d", w.middle(share).Microseconds())
			for _, o := range watches[:3] {
				fmt.Printf(" | %.2f", w.against(o, share))
			}
		}
		fmt.Println(" |")
	}
	fmt.Println()
	return nil
}

// ready starts a server that answers with what it has fetched from a daemon, and returns its
// address.
func (b *bench) ready(daemon string) (addr string, err error) {
	path := b.lab.Path("ready")
	if err := lab.Build("./internal/lab/bench/ready", path, "-buildvcs=false"); err != nil {
		return "", err
	}
	ports, err := lab.FreePorts(1)
	if err != nil {
		return "", err
	}
	addr = lab.Loopback(ports[0])
	p, err := b.lab.Start(lab.Spec{Name: "ready", Path: path, Args: []string{"http://" + daemon, addr}, Log: b.lab.Path("ready.log")})
	if err != nil {
		return "", err
	}
	return addr, p.UntilItListens("tcp", addr)
}

func (w *watch) middle(share float64) time.Duration {
	var v []float64
	for _, l := range w.rounds {
		v = append(v, float64(l.at(share)))
	}
	return time.Duration(middle(v))
}

// against returns the ratio of the time that a bounce takes to that with another watch: the
// median of the ratios within each round.
func (w *watch) against(o *watch, share float64) float64 {
	var v []float64
	for i := range w.rounds {
		v = append(v, float64(w.rounds[i].at(share))/float64(o.rounds[i].at(share)))
	}
	return middle(v)
}

// round sends bounces for a while and reads metrics meanwhile.
func (w *watch) round(socket string, m *mta.Message) error {
	stop := make(chan struct{})
	var readers sync.WaitGroup
	var failed atomic.Pointer[error]
	if w.metrics != "" {
		read := func(path string, every time.Duration, n *int64) {
			readers.Go(func() {
				if err := readPage("http://"+w.metrics+path, every, n, stop); err != nil {
					failed.Store(&err)
				}
			})
		}
		var n [scrapers + viewers]int64
		for i := range scrapers {
			read("/metrics", scrapers*time.Second/scrapesPerSecond, &n[i])
		}
		for i := range viewers {
			read("/", viewers*time.Second/viewsPerSecond, &n[scrapers+i])
		}
		defer func() {
			for i := range n {
				if i < scrapers {
					w.scrapes += n[i]
				} else {
					w.views += n[i]
				}
			}
		}()
	}
	l, err := latenciesOf(socket, m)
	close(stop)
	readers.Wait()
	if e := failed.Load(); e != nil {
		return *e
	}
	w.rounds = append(w.rounds, l)
	return err
}

// readPage reads a page at a steady rate until stop is closed, and counts how often.
func readPage(url string, every time.Duration, n *int64, stop chan struct{}) error {
	client := http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-t.C:
		}
		resp, err := client.Get(url)
		if err != nil {
			return fmt.Errorf("reading metrics: %w", err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("reading %s: %s, %v", url, resp.Status, err)
		}
		*n++
	}
}

// latenciesOf returns how long each message took.
func latenciesOf(socket string, m *mta.Message) (latencies, error) {
	c, err := mta.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var l latencies
	t := time.NewTicker(mailEvery)
	defer t.Stop()
	for began := time.Now(); time.Since(began) < watchTime; <-t.C {
		sent := time.Now()
		if err := c.Send(m); err != nil {
			return nil, fmt.Errorf("sending a message: %w", err)
		}
		l = append(l, time.Since(sent))
	}
	slices.Sort(l)
	return l, nil
}
