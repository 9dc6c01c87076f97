package main

import (
	"log/slog"
	"strings"

	"github.com/bounce-milter/bounce-milter/config"
)

// settings returns all keys with their values for the log: without TOML's quotes, and
// a list as its items separated by spaces.
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
