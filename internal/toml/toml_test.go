package toml

import (
	"testing"
)

func TestNearest(t *testing.T) {
	words := []string{"listen", "mode", "log", "limits", "header_prefix"}
	for in, want := range map[string]string{
		"lisen": "listen", "lsiten": "listen", "Listen": "listen", "listens": "listen", "mod": "mode",
		"header-prefix": "header_prefix", "headerprefix": "header_prefix", "limit": "limits", "action": "", "x": "",
	} {
		if got := Nearest(in, words); got != want {
			t.Errorf("nearest to %q is %q, want %q", in, got, want)
		}
	}
}
