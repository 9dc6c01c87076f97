//go:build e2e

package lab

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// ownNames are the names that bounce-milter writes, behind the prefix.
var ownNames = []string{"Category", "Type", "Reason", "Action", "Result", "Kind", "Origin", "Forged"}

// verdicts are the lines of a message's header that a reader may take for
// bounce-milter's, however loosely he reads: with any line end, with space around
// the name.
func verdicts(m Message) []string {
	head, _, _ := bytes.Cut(m.Raw, []byte("\n\n"))
	var out []string
	for _, line := range strings.FieldsFunc(string(head), func(r rune) bool { return r == '\n' || r == '\r' }) {
		name, _, _ := strings.Cut(line, ":")
		if name != "" && (name[0] == ' ' || name[0] == '\t') {
			continue // a continuation
		}
		for _, own := range ownNames {
			if strings.EqualFold(strings.TrimSpace(name), "X-Bounce-"+own) {
				out = append(out, line)
			}
		}
	}
	return out
}

// forgeries are mails with forged headers in all shapes that an SMTP client can
// give them.
func forgeries() map[string]string {
	const rest = "From: ann@remote.test\nSubject: Dinner\n"
	all := strings.Builder{}
	for _, n := range ownNames {
		fmt.Fprintf(&all, "X-Bounce-%s: forged\nx-bounce-%s\t : forged\n", n, strings.ToUpper(n))
	}
	header := map[string]string{
		"every name":              all.String() + rest,
		"below":                   rest + all.String(),
		"mixed case":              "x-BoUnCe-TyPe: hard\n" + rest,
		"space before the colon":  "X-Bounce-Type : hard\n" + rest,
		"tabs before the colon":   "X-Bounce-Type\t \t: hard\n" + rest,
		"no space behind it":      "X-Bounce-Type:hard\n" + rest,
		"value on the next line":  "X-Bounce-Type:\n hard\n" + rest,
		"colon on the next line":  "X-Bounce-Type\n : hard\n" + rest,
		"name on two lines":       "X-Bounce-\n Type: hard\n" + rest,
		"no value":                "X-Bounce-Type:\nX-Bounce-Category: \n" + rest,
		"begins with a space":     " X-Bounce-Type: hard\n" + rest,
		"below a From_ line":      "From ann@remote.test Mon Nov  2 10:00:00 2026\nX-Bounce-Type: hard\n" + rest,
		"below a quoted one":      ">From ann@remote.test Mon Nov  2 10:00:00 2026\nX-Bounce-Type: hard\n" + rest,
		"below no header":         rest + "nothing that is a field\nX-Bounce-Type: hard\n",
		"no header before":        "nothing that is a field\nX-Bounce-Type: hard\n" + rest,
		"nameless before":         ": x\nX-Bounce-Type: hard\n" + rest,
		"between received ones":   "Received: from a by b\nX-Bounce-Type: hard\nReceived: from c by d\nX-Bounce-Type: hard\n" + rest,
		"resent":                  rest + "Resent-From: ann@remote.test\nX-Bounce-Type: hard\n",
		"NUL in the name":         "X-Bounce-\x00Type: hard\n" + rest,
		"NUL behind the name":     "X-Bounce-Type\x00: hard\n" + rest,
		"NUL before the name":     "\x00X-Bounce-Type: hard\n" + rest,
		"NUL in the value":        "X-Bounce-Type: ha\x00rd\n" + rest,
		"NUL in the field before": "X-Other: a\x00\nX-Bounce-Type: hard\n" + rest,
		"CR in the field before":  "X-Other: a\rX-Bounce-Type: hard\n" + rest,
		"CR at its end":           "X-Other: a\r\r\nX-Bounce-Type: hard\n" + rest,
		"CR in the name":          "X-Bounce-\rType: hard\n" + rest,
		"other line ends":         "X-Other: a\vX-Bounce-Type: hard\fX-Bounce-Type: hard\u0085X-Bounce-Type: hard\u2028X-Bounce-Type: hard\n" + rest,
		"backspace in the name":   "XX\b-Bounce-Type: hard\n" + rest,
		"DEL behind the name":     "X-Bounce-Type\x7f: hard\n" + rest,
		"long line":               "X-Other: " + strings.Repeat("a", 2039) + "X-Bounce-Type: hard\n" + rest,
		"long value":              "X-Bounce-Type: hard" + strings.Repeat(" y", 150_000) + "\n" + rest,
		"long folded value":       "X-Bounce-Type: hard\n" + strings.Repeat(" yyyyyyyyyyyyyyyyyyyyyyy\n", 9000) + rest,
		"behind a long value":     "X-Other: a" + strings.Repeat(" y", 150_000) + "\nX-Bounce-Type: hard\n" + rest,
		"behind many fields":      strings.Repeat("X-Other: y\n", 3000) + all.String() + rest,
		"behind a long header":    strings.Repeat("X-Other: "+strings.Repeat("y", 900)+"\n", 8000) + all.String() + rest,
		"behind strangers' names": strings.Repeat("X-Bounce-Other: y\n", 3000) + all.String() + rest,
		"thousands":               strings.Repeat("X-Bounce-Type: hard\n", 2500) + rest,
	}
	out := map[string]string{
		"nothing but that": "X-Bounce-Type: hard\n",
		"no empty line":    rest + "X-Bounce-Type: hard\nno header\nX-Bounce-Type: hard\n",
	}
	for name, h := range header {
		out[name] = h + "\nHello.\n"
	}
	return out
}

// recipe is main.cf with the recipe that takes forged headers off.
func recipe(t *testing.T) string {
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return "header_checks = regexp:" + root + "/packaging/postfix/strip_bounce_headers.regexp\nmime_header_checks =\nnested_header_checks =\n"
}

// newKept is a Postfix with that recipe before a daemon that keeps forged headers,
// as is recommended.
func newKept(t *testing.T) *world {
	t.Helper()
	l := newLab(t)
	w := &world{}
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	listen := "inet:" + Loopback(ports[0])
	if w.daemon, err = l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{listen}, Top: "forged_headers = \"keep\"\n"}); err != nil {
		t.Fatal(err)
	}
	milter := "{ " + listen + ", default_action=accept }"
	w.postfix, err = l.StartPostfix("pf", PostfixConfig{
		Services: []Service{{Name: "tcp", Milters: milter}}, OwnBounces: milter, Main: recipe(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "postfix", w.postfix.Log)
	showOnFailure(t, "bounce-milter", w.daemon.Log)
	t.Cleanup(func() { noRaces(t, w.daemon) })
	return w
}

// sendForgeries sends each forgery, from a person and from the null sender, and
// wants none to arrive with a verdict.
func sendForgeries(t *testing.T, p *Postfix, service string) {
	t.Helper()
	catalogue := forgeries()
	to, box := p.Mailbox()
	sent := 0
	for _, name := range slices.Sorted(maps.Keys(catalogue)) {
		for _, from := range []string{"ann@remote.test", ""} {
			mail := Mail{From: from, To: []string{to}, Args: "BODY=8BITMIME", Data: []byte("X-Case: " + name + "\n" + catalogue[name])}
			if strings.HasPrefix(name, "begins") || strings.HasPrefix(name, "below a") {
				mail.Data = []byte(catalogue[name])
			}
			send(t, p.Addr(service), mail)
			sent++
		}
	}
	for _, m := range delivered(t, box, sent) {
		if v := verdicts(m); len(v) > 0 {
			t.Errorf("%s: %d verdicts of a stranger's arrived, the first %q", m.Get("X-Case"), len(v), v[0])
		}
	}
}

// No forged header arrives, in whatever shape: by the daemon alone, and with the
// recipe, where it makes no difference that the daemon is there.
func TestForgeries(t *testing.T) {
	t.Run("remove", func(t *testing.T) { sendForgeries(t, theWorld(t).postfix, "unix") })
	w := newKept(t)
	t.Run("keep with the recipe", func(t *testing.T) {
		sendForgeries(t, w.postfix, "tcp")
		many := []byte(strings.Repeat("X-Bounce-Type: hard\n", 12000) + "X-Bounce-Key: theirs\nSubject: x\n\nHello.\n")
		to, box := w.postfix.Mailbox()
		send(t, w.postfix.Addr("tcp"), Mail{From: "ann@remote.test", To: []string{to}, Data: many},
			Mail{To: []string{to}, Data: many}, Mail{To: []string{to}, Data: Bounce("kept", to, []string{"X-Bounce-Type: forged", "X-Bounce-Kind: forged"}, unknownUser)})
		for _, m := range delivered(t, box, 3) {
			if m.Get("Message-Id") == "<kept@mx.remote.test>" {
				tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
			} else if v := verdicts(m); len(v) > 0 || m.Get("X-Bounce-Key") != "theirs" {
				t.Errorf("%d verdicts of a stranger's arrived, X-Bounce-Key: %q", len(v), m.Get("X-Bounce-Key"))
			}
		}
	})
	t.Run("without the daemon", func(t *testing.T) {
		w.daemon.Kill()
		sendForgeries(t, w.postfix, "tcp")
	})
}

// Mail with more forged headers than Postfix can be asked to delete is refused,
// soon; with just as many as can be removed it arrives without any, behind
// whatever else begins like ours. What a program on the host hands in passes and
// says what stayed.
func TestManyForgedHeaders(t *testing.T) {
	w := theWorld(t)
	const name = "X-Bounce-Type"
	forged := func(n int) []string { return slices.Repeat([]string{name + ": hard"}, n) }
	others := make([]string, 3000)
	for i := range others {
		others[i] = fmt.Sprintf("X-Bounce-%dKind: x", i)
	}
	for _, c := range []struct {
		name   string
		forged []string
		ours   int
		stay   int
	}{
		{"as many as are removed", forged(2700), 2700, 0},
		{"other names in front", append(others, "X-Bounce-Category: mailbox-full"), 1, 3000},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := scrape(t, w.daemon)
			to, box := w.postfix.Mailbox()
			send(t, w.postfix.Addr("unix"),
				Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("h1", to, c.forged, 500)},
				Mail{To: []string{to}, Data: Bounce("h2", to, c.forged, unknownUser)})
			ours := 0
			for _, m := range delivered(t, box, 2) {
				tags := m.Tags("X-Bounce-")
				if m.Get("Message-Id") == "<h2@mx.remote.test>" {
					if len(tags) < 5 || tags[0].Name != "X-Bounce-Category" || tags[0].Value != "invalid-address" || tags[4].Name != "X-Bounce-Result" {
						t.Fatalf("the report's own tags are not first: %v", tags[:min(5, len(tags))])
					}
					ours++
					tags = tags[5:]
				}
				if len(tags) != c.stay {
					t.Errorf("%d fields with our prefix stay, want %d", len(tags), c.stay)
				}
			}
			if ours != 1 {
				t.Errorf("%d reports arrived, want 1", ours)
			}
			counted(t, w.daemon, before,
				count(float64(2*c.ours), "forged_headers_total"),
				count(0, "errors_total", `stage="forged"`))
		})
	}
	t.Run("more", func(t *testing.T) {
		before := scrape(t, w.daemon)
		to, box := w.postfix.Mailbox()
		for _, m := range []Mail{
			{From: "ann@remote.test", To: []string{to}, Data: Ordinary("h3", to, forged(12000), 500)},
			{To: []string{to}, Data: Bounce("h4", to, forged(12000), unknownUser)},
		} {
			if err := SendAll(w.postfix.Addr("unix"), m); err == nil || !strings.Contains(err.Error(), "550 5.7.1 Too many header fields") {
				t.Errorf("it is not refused: %v", err)
			}
		}
		counted(t, w.daemon, before,
			count(24000, "forged_headers_total"),
			count(2, "errors_total", `stage="forged"`))
		if err := w.postfix.Submit("ann@remote.test", []string{to}, Ordinary("h5", to, forged(4000), 500)); err != nil {
			t.Fatal(err)
		}
		tags := delivered(t, box, 1)[0].Tags("X-Bounce-")
		if want := fmt.Sprintf("%d left", len(tags)-1); len(tags) < 2 || tags[0].Name != "X-Bounce-Forged" || tags[0].Value != want {
			t.Errorf("what was handed in has %d fields with our prefix, the first %v", len(tags), tags[:min(1, len(tags))])
		}
	})
}
