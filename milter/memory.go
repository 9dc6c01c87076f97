package milter

import (
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// trimWorth is how much must have gathered for trim to collect it.
const trimWorth = 2 << 20

// trim gives memory back to the system while no message comes: the runtime
// alone keeps as much again as is in use, for what may come.
func (s *Server) trim(every time.Duration) (stop func()) {
	done := make(chan struct{})
	go func() {
		t := time.NewTicker(every)
		defer t.Stop()
		var then, trimmed uint64
		least := heldMemory()
		for {
			select {
			case <-t.C:
				now := s.seen.Load()
				if now == then && (now != trimmed || heldMemory() > least+trimWorth) {
					debug.FreeOSMemory()
					least, trimmed = heldMemory(), now
				}
				then = now
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

// heldMemory is what the runtime holds of the system's memory.
func heldMemory() uint64 {
	m := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(m)
	return m[0].Value.Uint64() - m[1].Value.Uint64()
}

// SetMemoryLimit makes the Go runtime keep within nine tenths of the cgroup's
// memory limit, unless GOMEMLIMIT is set. (The number of threads follows the
// cgroup's CPU limit without our doing.) Without a cgroup nothing changes.
func SetMemoryLimit(log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(0.9), memlimit.WithProvider(memlimit.FromCgroup))
	switch {
	case errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported), errors.Is(err, fs.ErrNotExist):
	case err != nil:
		log.Warn("reading the memory limit of the cgroup", "error", err)
	case limit < math.MaxInt64:
		log.Info("memory limit taken from the cgroup", "octets", limit)
	}
}
