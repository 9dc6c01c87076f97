package cost

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// Bounds on one message.
const (
	MaxOctets = 256 << 10
	MaxTime   = 25 * time.Millisecond // of CPU, for MaxOctets at most
	maxGrowth = 2.2                   // for twice the octets
)

// Cost is what a message costs to read and judge.
type Cost struct {
	Octets     int
	Work       int           // units, see classify.Result
	Allocated  uint64        // octets
	Time       time.Duration // of CPU, garbage collection included; the least of some tries
	Recipients int
	Truncated  bool
}

// Count reads a message once and counts what it costs, except the time.
func Count(e *classify.Engine, raw []byte) Cost {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res := e.Classify(context.Background(), raw)
	runtime.ReadMemStats(&after)
	return Cost{Octets: len(raw), Work: res.Work, Allocated: after.TotalAlloc - before.TotalAlloc,
		Recipients: len(res.Recipients), Truncated: res.Truncated}
}

// Measure reads a message several times and takes the least time.
func Measure(e *classify.Engine, raw []byte, times int) Cost {
	c := Cost{Octets: len(raw)}
	for i := range times {
		begun := cpu()
		res := e.Classify(context.Background(), raw)
		took := cpu() - begun
		if i == 0 || took < c.Time {
			c.Time = took
		}
		c.Work, c.Recipients, c.Truncated = res.Work, len(res.Recipients), res.Truncated
	}
	return c
}

// cpu returns the CPU time that this process has used.
func cpu() time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// Unbounded returns an engine without a bound on work.
func Unbounded() (*classify.Engine, error) {
	return classify.New(classify.Options{Limits: dsn.Limits{Work: 1 << 40}})
}

// Grows says why the work for a recipe's messages grows faster than their length, "" if
// it does not. It does if twice the length costs more than maxGrowth times as much, and
// so does what the second half adds, three times in a row. Once is only a step: a longer
// message may have one more part, or a list that ends. The engine must have no bound on
// work, because growth would end there.
func Grows(e *classify.Engine, r Recipe) string {
	const little = 20_000
	var before, last, c, row int
	for size := 4 << 10; size <= MaxOctets; size *= 2 {
		raw := r.Message(size)
		before, last, c = last, c, e.Classify(context.Background(), raw).Work
		switch {
		case before == 0, c-last < little, last < before,
			float64(c) <= maxGrowth*float64(last), float64(c-last) <= maxGrowth*float64(last-before):
			row = 0
		default:
			if row++; row == 3 {
				return fmt.Sprintf("work %d, %d and %d for half of half, half and all of %d octets", before, last, c, len(raw))
			}
		}
	}
	return ""
}
