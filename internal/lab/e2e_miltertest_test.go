//go:build e2e

package lab

import (
	"net"
	"testing"
)

// An independent client: several messages in a row on one connection, with and
// without an Abort between them, at the oldest and the newest protocol version.
func TestMiltertest(t *testing.T) {
	w := theWorld(t)
	for name, defs := range map[string]map[string]string{
		"newest":                {},
		"newest, aborting":      {"ABORT": "1"},
		"version 2":             {"VER": "2"},
		"version 2, aborting":   {"VER": "2", "ABORT": "1"},
		"version 4, no aborts":  {"VER": "4"},
		"version 6, no abort":   {"VER": "6"},
		"version 6, with abort": {"VER": "6", "ABORT": "1"},
	} {
		for _, spec := range w.daemon.cfg.Listen {
			t.Run(name+" "+spec[:4], func(t *testing.T) {
				before := scrape(t, w.daemon)
				// miltertest wants Sendmail's spelling of a socket.
				network, addr := split(spec)
				sock := "unix:" + addr
				if network == "tcp" {
					host, port, err := net.SplitHostPort(addr)
					if err != nil {
						t.Fatal(err)
					}
					sock = "inet:" + port + "@" + host
				}
				if out, err := Miltertest("testdata/session.lua", sock, defs); err != nil {
					t.Fatal(err)
				} else if out != "" {
					t.Log(out)
				}
				counted(t, w.daemon, before,
					count(6, "messages_total", `kind="dsn"`),
					count(5, "messages_total", `kind="none"`),
					count(12, "forged_headers_total"),
					count(0, "errors_total"),
					count(0, "sessions"))
			})
		}
	}
}
