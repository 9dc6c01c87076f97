package main

import (
	"log/slog"
	"strings"

	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/milter"
)

// settings are all keys with their values, for the log: without TOML's quotes,
// a list as its items with a space between.
func settings(cfg *config.Config) []any {
	var attrs []any
	for _, s := range cfg.Settings() {
		value := s[1]
		if list, ok := strings.CutPrefix(value, "["); ok {
			value = strings.ReplaceAll(strings.TrimSuffix(list, "]"), ", ", " ")
		}
		attrs = append(attrs, slog.String(s[0], strings.ReplaceAll(value, `"`, "")))
	}
	return attrs
}

// milterConfig translates what the administrator says into what the daemon does.
func milterConfig(c *config.Config) milter.Config {
	m := milter.Config{
		SocketMode:      c.SocketMode,
		SocketGroup:     c.SocketGroup,
		Mode:            milter.Mode(c.Mode),
		HeaderPrefix:    c.HeaderPrefix,
		ForgedHeaders:   milter.Forged(c.ForgedHeaders),
		TrustedNetworks: c.TrustedNetworks,
		LookAt:          milter.LookAt(c.LookAt),
		DrainTimeout:    c.DrainTimeout,
		Limits: milter.Limits{
			MessageOctets:    c.Limits.Report.Octets,
			MemoryOctets:     c.Limits.MaxMemory,
			HeaderOctets:     c.Limits.MaxHeaderOctets,
			HeaderFields:     c.Limits.MaxHeaderFields,
			Sessions:         c.Limits.MaxSessions,
			NegotiateTimeout: c.Limits.NegotiateTimeout,
			IdleTimeout:      c.Limits.IdleTimeout,
			FrameTimeout:     c.Limits.FrameTimeout,
			WriteTimeout:     c.Limits.WriteTimeout,
		},
	}
	for _, s := range c.Listen {
		m.Listen = append(m.Listen, milter.Socket{Network: s.Network, Address: s.Address})
	}
	if s := c.Metrics.Listen; s.Network != "" {
		m.Metrics = &milter.Socket{Network: s.Network, Address: s.Address}
	}
	return m
}
