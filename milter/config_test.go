package milter

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no socket", func(c *Config) { c.Listen = nil }, "listen: no socket to listen on"},
		{"one twice", func(c *Config) { c.Listen = append(c.Listen, c.Listen[0]) }, "listen: inet:127.0.0.1:8894 is named twice"},
		{"metrics on it too", func(c *Config) { c.Metrics = &c.Listen[0] }, "metrics.listen: inet:127.0.0.1:8894 is named twice"},
		{"kind of socket", func(c *Config) { c.Listen = []Socket{{"udp", "x"}} }, `listen: unknown kind of socket "udp"`},
		{"no address", func(c *Config) { c.Listen = []Socket{{"unix", ""}} }, "listen: a unix socket without an address"},
		{"mode", func(c *Config) { c.Mode = "delete" }, `mode: "delete" is neither tag nor observe`},
		{"forged", func(c *Config) { c.ForgedHeaders = "" }, `forged_headers: "" is neither remove nor keep`},
		{"look at", func(c *Config) { c.LookAt = "body" }, `look_at: "body" is neither header nor envelope`},
		{"socket mode", func(c *Config) { c.SocketMode = 0o10660 }, "socket_mode: 010660 is no file mode"},
		{"prefix of all mail", func(c *Config) { c.HeaderPrefix = "Rec" }, `header_prefix: "Rec" does not begin with X-`},
		{"prefix with a colon", func(c *Config) { c.HeaderPrefix = "X-B:" }, "octets that no header name may have"},
		{"prefix too short", func(c *Config) { c.HeaderPrefix = "X-" }, "not between 3 and 64 octets"},
		{"drain", func(c *Config) { c.DrainTimeout = -time.Second }, "drain_timeout: -1s is negative"},
		{"a limit", func(c *Config) { c.Limits.MessageOctets = 10 }, "limits.message_octets: 10 is below 4096"},
		{"a negative limit", func(c *Config) { c.Limits.Sessions = -1 }, "limits.sessions: -1 is below 1"},
	}
	for _, tt := range tests {
		c := DefaultConfig()
		tt.change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	// Everything at once, not the first alone.
	c := Config{}
	if n := strings.Count(c.Validate().Error(), "\n"); n != 4 {
		t.Errorf("an empty configuration: %v", c.Validate())
	}
}

func TestZeroLimitsAreDefaults(t *testing.T) {
	if got := (Limits{}).WithDefaults(); got != DefaultLimits {
		t.Errorf("got %+v", got)
	}
	l := Limits{Sessions: 7}.WithDefaults()
	if l.Sessions != 7 || l.MessageOctets != DefaultLimits.MessageOctets {
		t.Errorf("got %+v", l)
	}
}

func TestSocketString(t *testing.T) {
	for want, s := range map[string]Socket{
		"inet:127.0.0.1:8894": {"tcp", "127.0.0.1:8894"},
		"inet:[::1]:8894":     {"tcp6", "[::1]:8894"},
		"unix:/run/m.sock":    {"unix", "/run/m.sock"},
		"systemd":             {"systemd", ""},
		"systemd:milter":      {"systemd", "milter"},
	} {
		if got := s.String(); got != want {
			t.Errorf("%v = %q, want %q", s.Network, got, want)
		}
	}
}
