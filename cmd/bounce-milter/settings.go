package main

import (
	"log/slog"
	"strings"

	"github.com/bounce-milter/bounce-milter/config"
)

// settings returns the keys whose values differ from the defaults, for the log: without
// TOML's quotes, and a list as its items separated by spaces.
func settings(cfg *config.Config) []any {
	var attrs []any
	defaults := map[string]string{}
	for _, s := range config.Default().Settings() {
		defaults[s[0]] = s[1]
	}
	for _, s := range cfg.Settings() {
		value := s[1]
		if usual, ok := defaults[s[0]]; ok && usual == value {
			continue
		}
		if list, ok := strings.CutPrefix(value, "["); ok {
			value = strings.ReplaceAll(strings.TrimSuffix(list, "]"), ", ", " ")
		}
		attrs = append(attrs, slog.String(s[0], strings.ReplaceAll(value, `"`, "")))
	}
	if len(attrs) == 0 {
		attrs = append(attrs, slog.Bool("defaults", true))
	}
	return attrs
}
