package cost

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
)

// Bounds on one message.
const (
	MaxOctets = 256 << 10
	MaxTime   = 25 * time.Millisecond // of CPU, for MaxOctets at most
	MaxGrowth = 2.2                   // for twice the octets
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

// Count reads a message once and counts what it costs, but for the time.
func Count(e *classify.Engine, raw []byte) Cost {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res := e.Classify(context.Background(), raw)
	runtime.ReadMemStats(&after)
	return Cost{Octets: len(raw), Work: res.Work, Allocated: after.TotalAlloc - before.TotalAlloc,
		Recipients: len(res.Recipients), Truncated: res.Truncated}
}

// Measure reads a message so many times and takes the least time.
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

// Grows says why the work for a recipe's messages grows faster than their
// length, "" if it does not. A step is no growth: what makes a message longer may
// give it one more part, or a list that ends. Three times in a row it is.
func Grows(e *classify.Engine, r Recipe) string {
	var last Cost
	row := 0
	for size := 4 << 10; size <= MaxOctets; size *= 2 {
		raw := r.Message(size)
		res := e.Classify(context.Background(), raw)
		c := Cost{Octets: len(raw), Work: res.Work}
		if last.growth(c) <= MaxGrowth {
			row = 0
		} else if row++; row == 3 {
			return fmt.Sprintf("work %d for %d octets, %d for %d", last.Work, last.Octets, c.Work, c.Octets)
		}
		last = c
	}
	return ""
}

// growth compares the work of a message with that of one of the same recipe and
// twice the length; 0 where that is too little to be compared.
func (c Cost) growth(twice Cost) float64 {
	const little = 20_000
	if twice.Work < little || c.Work == 0 {
		return 0
	}
	return float64(twice.Work) / float64(c.Work) * 2 * float64(c.Octets) / float64(twice.Octets)
}
