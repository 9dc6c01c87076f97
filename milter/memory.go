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

// trimWorth is how many octets must have accumulated before trim collects them.
const trimWorth = 2 << 20

// trim returns memory to the system while no mail arrives. Left alone, the runtime keeps
// about twice of what is in use, for later.
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

// heldMemory returns how many octets the runtime has from the system.
func heldMemory() uint64 {
	m := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(m)
	return m[0].Value.Uint64() - m[1].Value.Uint64()
}

// SetMemoryLimit makes the Go runtime stay within nine tenths of the cgroup's memory
// limit, unless GOMEMLIMIT is set. Without a cgroup nothing changes. (The runtime itself
// takes the number of threads from the cgroup's CPU limit.)
func SetMemoryLimit(log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(0.9), memlimit.WithProvider(memlimit.FromCgroup))
	switch {
	case errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported), errors.Is(err, fs.ErrNotExist):
	case err != nil:
		log.Warn("cannot read the memory limit of the cgroup", "error", err)
	case limit < math.MaxInt64:
		log.Info("memory limit taken from the cgroup", "octets", limit)
	}
}
