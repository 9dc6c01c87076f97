package milter

import (
	"log/slog"
	"sync"
	"time"
)

const (
	logBurst  = 5
	logPeriod = 10 * time.Second
)

// logLimit writes at most logBurst lines per cause in a logPeriod, so that a peer cannot
// fill a disk. The next line of a cause says how many were kept back. Causes are
// constants of this package.
type logLimit struct {
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	causes map[string]*logCause
}

type logCause struct {
	begun   time.Time
	written int
	kept    int
}

func newLogLimit(log *slog.Logger) *logLimit {
	return &logLimit{log: log, now: time.Now, causes: map[string]*logCause{}}
}

func (l *logLimit) warn(cause, msg string, attrs ...any) {
	if ok, kept := l.allow(cause); ok {
		if kept > 0 {
			attrs = append(attrs, "kept_back", kept)
		}
		l.log.Warn(msg, attrs...)
	}
}

func (l *logLimit) error(cause, msg string, attrs ...any) {
	if ok, kept := l.allow(cause); ok {
		if kept > 0 {
			attrs = append(attrs, "kept_back", kept)
		}
		l.log.Error(msg, attrs...)
	}
}

// allow reports whether a line may be written, and how many lines of its cause were kept
// back since the last one.
func (l *logLimit) allow(cause string) (bool, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.causes[cause]
	if c == nil {
		c = &logCause{}
		l.causes[cause] = c
	}
	if now := l.now(); now.Sub(c.begun) >= logPeriod {
		c.begun, c.written = now, 0
	}
	if c.written >= logBurst {
		c.kept++
		return false, 0
	}
	c.written++
	kept := c.kept
	c.kept = 0
	return true, kept
}
