package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/bounce-milter/bounce-milter/config"
)

// logHandler is a slog.Handler whose level and format a reload can change.
type logHandler struct {
	current *atomic.Pointer[slog.Handler]
	format  *atomic.Pointer[string]
	w       io.Writer
	with    []func(slog.Handler) slog.Handler // what WithAttrs and WithGroup added
}

var _ slog.Handler = (*logHandler)(nil)

func newLogHandler(w io.Writer) *logHandler {
	h := &logHandler{current: new(atomic.Pointer[slog.Handler]), format: new(atomic.Pointer[string]), w: w}
	h.set(config.Default().Log)
	return h
}

// newDaemonLog returns a handler that never waits for a slow reader of w: its lines go
// through the logWriter, which the caller closes.
func newDaemonLog(w io.Writer) (h *logHandler, lines *logWriter) {
	lines = newLogWriter(w, func(lost int) []byte { return h.lostLine(lost) })
	h = newLogHandler(lines)
	return h, lines
}

// set changes level and format, also for loggers that exist already.
func (h *logHandler) set(c config.Log) {
	opts := &slog.HandlerOptions{Level: c.Level}
	next := newHandler(h.w, c.Format, opts)
	h.current.Store(&next)
	h.format.Store(&c.Format)
}

func newHandler(w io.Writer, format string, opts *slog.HandlerOptions) slog.Handler {
	if format == "json" {
		return slog.NewJSONHandler(plainJSON{w}, opts)
	}
	return slog.NewTextHandler(plainJSON{w}, opts)
}

// lostLine returns the line that says that others were lost, in the current format.
func (h *logHandler) lostLine(lost int) []byte {
	var b bytes.Buffer
	slog.New(newHandler(&b, *h.format.Load(), nil)).Warn("lines of the log were lost: its reader was gone or too slow", "lost", lost)
	return b.Bytes()
}

func (h *logHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return (*h.current.Load()).Enabled(ctx, l)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	next := *h.current.Load()
	for _, with := range h.with {
		next = with(next)
	}
	return next.Handle(ctx, r)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.add(func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	return h.add(func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
}

func (h *logHandler) add(with func(slog.Handler) slog.Handler) slog.Handler {
	c := *h
	c.with = append(h.with[:len(h.with):len(h.with)], with)
	return &c
}
