package chaos

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// bounce is one message that was sent. No other bounce names any of its recipients.
type bounce struct {
	connection, number int
	recipients         []string
	accepted           bool
}

// ledger holds every bounce that was sent.
type ledger struct {
	mu          sync.Mutex
	connections int
	bounces     []*bounce
	took        []time.Duration // of those accepted since times was called
	life        int             // records of those accepted since newLife was called
}

// connection numbers a connection.
func (l *ledger) connection() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connections++
	return l.connections
}

// sent notes a bounce before it is sent.
func (l *ledger) sent(connection, number, recipients int) *bounce {
	b := &bounce{connection: connection, number: number}
	for i := range recipients {
		b.recipients = append(b.recipients, fmt.Sprintf("u%d.%d.%d@remote.test", connection, number, i))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bounces = append(l.bounces, b)
	return b
}

// accepted notes that the filter has accepted a bounce.
func (l *ledger) accepted(b *bounce, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.accepted = true
	l.life += len(b.recipients)
	l.took = append(l.took, took)
}

// times returns how long each of the last accepted bounces took, and forgets it.
func (l *ledger) times() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.took
	l.took = nil
	return t
}

// newLife begins to count the records of a process that just started.
func (l *ledger) newLife() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.life = 0
}

// inThisLife is how many records were accepted since newLife.
func (l *ledger) inThisLife() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.life
}

// all are the bounces by their recipients.
func (l *ledger) all() map[string]*bounce {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := map[string]*bounce{}
	for _, b := range l.bounces {
		for _, to := range b.recipients {
			m[to] = b
		}
	}
	return m
}

func (l *ledger) counts() (accepted, lost, records int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.bounces {
		if !b.accepted {
			lost++
			continue
		}
		accepted++
		records += len(b.recipients)
	}
	return accepted, lost, records
}

// spread says how times are spread.
func spread(t []time.Duration) string {
	if len(t) == 0 {
		return "not measured"
	}
	slices.Sort(t)
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	return fmt.Sprintf("%v, of one in a hundred %v, at the most %v", round(t[len(t)/2]), round(t[len(t)*99/100]), round(t[len(t)-1]))
}
