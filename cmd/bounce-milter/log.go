package main

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/bounce-milter/bounce-milter/config"
)

// logHandler is a slog.Handler whose level and format a reload can change.
type logHandler struct {
	current *atomic.Pointer[slog.Handler]
	w       io.Writer
	with    []func(slog.Handler) slog.Handler // what WithAttrs and WithGroup added
}

var _ slog.Handler = (*logHandler)(nil)

func newLogHandler(w io.Writer) *logHandler {
	h := &logHandler{current: new(atomic.Pointer[slog.Handler]), w: w}
	h.set(config.Default().Log)
	return h
}

// set changes level and format, for loggers made before as well.
func (h *logHandler) set(c config.Log) {
	opts := &slog.HandlerOptions{Level: c.Level}
	var next slog.Handler = slog.NewTextHandler(h.w, opts)
	if c.Format == "json" {
		next = slog.NewJSONHandler(h.w, opts)
	}
	h.current.Store(&next)
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
