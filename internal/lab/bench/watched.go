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

	"github.com/bounce-milter/bounce-milter/internal/lab/mta"
)

// What readers of the metrics listener ask for: with the default number of rounds, ten
// thousand scrapes in all.
const (
	scrapesPerSecond = 1000
	viewsPerSecond   = 100
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

// whileWatched measures how long a bounce takes in three cases: nobody reads metrics; those
// of another daemon are read, which takes as much of the machine; and those of the measured
// daemon are read.
func (b *bench) whileWatched() error {
	own := slices.DeleteFunc(slices.Clone(b.filters), func(f *filter) bool { return !f.own })
	ours, neighbour := own[0], own[1]
	raw, _ := mails()
	m := mta.Parse(mta.Envelope{QueueID: "4ABCD", To: "user@lab.test"}, raw)
	watches := []*watch{{what: "nobody"}, {what: "those of another daemon", metrics: neighbour.metrics}, {what: "its own", metrics: ours.metrics}}
	for range b.rounds {
		for _, w := range watches {
			if err := w.round(ours.unix, m); err != nil {
				return err
			}
		}
	}
	fmt.Printf("### While metrics are read\n\nA bounce every %s on one unix socket, while %d scrapes and %d page views a second read metrics.\n\n",
		mailEvery, scrapesPerSecond, viewsPerSecond)
	fmt.Print("| metrics read | scrapes | page views | median µs | × nobody | × another | 90 % µs | × nobody | × another | 99 % µs | × nobody | × another |\n")
	fmt.Print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, w := range watches {
		fmt.Printf("| %s | %d | %d", w.what, w.scrapes, w.views)
		for _, share := range []float64{0.5, 0.9, 0.99} {
			fmt.Printf(" | %d | %.2f | %.2f", w.middle(share).Microseconds(), w.against(watches[0], share), w.against(watches[1], share))
		}
		fmt.Println(" |")
	}
	fmt.Println()
	return nil
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
		const scrapers = 4
		var n [scrapers]int64
		for i := range n {
			read("/metrics", scrapers*time.Second/scrapesPerSecond, &n[i])
		}
		read("/", time.Second/viewsPerSecond, &w.views)
		defer func() {
			for i := range n {
				w.scrapes += n[i]
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
