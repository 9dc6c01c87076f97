package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "config.toml")
	rules := filepath.Join(dir, "rules.d")
	rule := filepath.Join(rules, "mine.toml")
	sockets := filepath.Join(dir, "sockets")
	for _, d := range []string{rules, sockets} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text := "listen = [\"unix:" + sockets + "/m.sock\"]\nrules_dir = \"" + rules + "\"\n"
	for _, f := range []string{file, rule} {
		if err := os.WriteFile(f, []byte("# nothing\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const group = 54321 // nobody's here
	for _, tt := range []struct {
		name string
		text string // behind the above
		path string
		mode fs.FileMode
		gid  int
		want string // "" for no warning
	}{
		{"all is well", "", file, 0o644, group, ""},
		{"file of everybody", "", file, 0o666, group, file + ": everybody may write this file"},
		{"file of a group", "", file, 0o664, group, file + ": group 54321 may write this file"},
		{"file of root's group", "", file, 0o664, 0, ""},
		{"folder of everybody", "", dir, 0o777, group, file + ": everybody may write the folder " + dir},
		{"folder like /tmp", "", dir, 0o777 | fs.ModeSticky, group, ""},
		{"rules of everybody", "", rules, 0o777, group, file + ":2: rules_dir: everybody may write the folder"},
		{"rule of a group", "", rule, 0o660, group, rule + ": group 54321 may write this file"},
		{"sockets like /tmp", "", sockets, 0o777 | fs.ModeSticky, group, file + ":1: listen: everybody may write the folder " + sockets},
		{"sockets of a group", "", sockets, 0o770, group, file + ":1: listen: group 54321 may write the folder " + sockets},
		{"metrics like /tmp", "metrics.listen = \"unix:" + sockets + "/w.sock\"", sockets, 0o777, group, file + ":3: metrics.listen: everybody may write the folder " + sockets},
		{"everybody trusted", "trusted_networks = [\"192.0.2.1\",\n\"::/0\"]", file, 0o644, group, file + ":4: trusted_networks: ::/0 contains every address"},
		{"this host trusted", "trusted_networks = [\"127.0.0.1\"]", file, 0o644, group, file + ":3: trusted_networks: 127.0.0.1/32 contains this host"},
		{"half of all trusted", "trusted_networks = [\"0.0.0.0/1\"]", file, 0o644, group, file + ":3: trusted_networks: 0.0.0.0/1 contains this host"},
		{"webhook for all to read", "[[events.sink]]\nname = \"a\"\ntype = \"webhook\"\nsecret_file = \"/etc/a\"\nurl = \"http://crm.example.org/hooks\"\n",
			file, 0o644, group, file + ":7: events.sink.url: is not encrypted"},
		{"webhook for all to write", "[[events.sink]]\nname = \"a\"\ntype = \"webhook\"\nurl = \"https://crm.example.org/hooks\"\n",
			file, 0o644, group, file + ":3: events.sink.secret_file: is missing, so requests are not signed"},
		{"listmonk elsewhere", "[[events.sink]]\nname = \"a\"\ntype = \"webhook\"\nformat = \"listmonk\"\nsecret_file = \"/etc/a\"\nurl = \"https://crm.example.org/webhooks/service/ses\"\n",
			file, 0o644, group, file + ":8: events.sink.url: does not end in /webhooks/bounce"},
		{"metrics for all", "metrics.listen = \":9894\"", file, 0o644, group, file + `:3: metrics.listen: "inet:9894" is every address`},
		{"metrics for all, IPv6", "metrics.listen = \"[::]:9894\"", file, 0o644, group, file + `:3: metrics.listen: "inet:9894@::" is every address`},
		{"metrics for a network", "metrics.listen = \"192.0.2.1:9894\"", file, 0o644, group, ""},
		{"state for all to write", "metrics.state_file = \"" + rule + "\"", rule, 0o666, group, file + ":3: metrics.state_file: " + rule + " others may write (mode 0666): take that"},
		{"state nowhere", "metrics.state_file = \"/nowhere/page.state\"", file, 0o644, group, file + ":3: metrics.state_file: /nowhere/page.state is in a folder that cannot be looked at"},
		{"state in a foreign file", "metrics.state_file = \"" + rule + "\"", rule, 0o600, group, file + ":3: metrics.state_file: " + rule + " is no state file of this program, and is left alone"},
		{"place nowhere", "follow.state_file = \"/nowhere/follow.state\"", file, 0o644, group, file + ":3: follow.state_file: /nowhere/follow.state is in a folder that cannot be looked at"},
		{"place in a foreign file", "follow.state_file = \"" + rule + "\"", rule, 0o600, group, file + ":3: follow.state_file: " + rule + " is no state file of this program"},
		{"place and page in one file", "metrics.state_file = \"" + dir + "/state\"\nfollow.state_file = \"" + dir + "/./state\"", file, 0o644, group,
			file + ":4: follow.state_file: " + dir + "/./state is metrics.state_file too"},
		{"log somewhere", "follow.path = \"mail.log\"", file, 0o644, group, file + `:3: follow.path: "mail.log" depends on the folder`},
		{"log of the journal", "follow.path = \"journal\"", file, 0o644, group, ""},
		{"log from a pipe", "follow.path = \"-\"", file, 0o644, group, ""},
		{"follow for all", "follow.listen = \":9895\"", file, 0o644, group, file + `:3: follow.listen: "inet:9895" is every address`},
		{"follow where the metrics are", "follow.listen = \"127.0.0.1:9894\"", file, 0o644, group, file + `:3: follow.listen: "inet:9894@127.0.0.1" is metrics.listen too`},
		{"follow where the milter is", "follow.listen = \"" + sockets + "/m.sock\"", file, 0o644, group, file + `:3: follow.listen: "unix:` + sockets + `/m.sock" is in listen too`},
		{"follow without metrics", "follow.listen = \"\"\nmetrics.listen = \"\"", file, 0o644, group, ""},
		{"a MAC without a key", "[verp]\npatterns = [\"b+{local}={domain}@example.org\",\n\"c+{token}-{mac}@example.org\"]", file, 0o644, group, file + ":5: verp.patterns: {mac} proves nothing without a key"},
		{"everybody's mail is ours", "[origin]\ndomains = [\"example.org\"]\nnetworks = [\"192.0.2.1\", \"0.0.0.0/0\"]\nkey_file = \"/etc/a\"\n", file, 0o644, group,
			file + ":5: origin.networks: 0.0.0.0/0 covers a large part of the Internet"},
		{"no proof", "[origin]\ndomains = [\"example.org\"]\n", file, 0o644, group, file + ":4: origin.domains: nothing can prove"},
		{"an origin that nobody asks for", "[[action]]\nname = \"a\"\nmatch = { origin = [\"ours\"] }\nnone = true\n", file, 0o644, group,
			file + ":5: action.match.origin: holds for no message as long as"},
		{"a proof that nobody asks for", "[[action]]\nname = \"a\"\nmatch = { bound = true }\nnone = true\n", file, 0o644, group,
			file + ":5: action.match.bound: holds for no message as long as"},
		{"an origin that is asked for", "[origin]\ndomains = [\"example.org\"]\nkey_file = \"/etc/a\"\n[[action]]\nname = \"a\"\nmatch = { origin = [\"ours\"] }\nnone = true\n", file, 0o644, group, ""},
		{"relays trusted", "trusted_networks = [\"192.0.2.0/24\", \"2001:db8::25\"]", file, 0o644, group, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			was, err := os.Stat(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(tt.path, -1, tt.gid); err != nil {
				t.Skip("needs root:", err)
			}
			if err := os.Chmod(tt.path, tt.mode); err != nil {
				t.Fatal(err)
			}
			defer os.Chmod(tt.path, was.Mode())
			cfg, err := Parse(file, []byte(text+tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range cfg.Warnings() {
				got = append(got, p.String())
			}
			found := false
			for i, g := range got {
				if slices.Contains(got[:i], g) {
					t.Errorf("said twice: %s", g)
				}
				found = found || tt.want != "" && strings.HasPrefix(g, tt.want)
			}
			if found != (tt.want != "") || tt.want == "" && len(got) > 0 {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
