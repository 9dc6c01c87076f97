package jetstream

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// section returns the section of docs/events.md about NATS.
func section(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "\n## To NATS JetStream\n")
	if !ok {
		t.Fatal("docs/events.md has no section about NATS")
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// The documented command is the one that the log repeats.
func TestDocumentedStream(t *testing.T) {
	s := sink(t, Options{Servers: []string{"nats://127.0.0.1:1"}})
	if command := s.(*Sink).create(); !strings.Contains(section(t), "\n$ "+command+"\n") {
		t.Errorf("docs/events.md does not say %s", command)
	}
}

// The documented configuration of servers allows a mail server to publish, and nothing
// else.
func TestDocumentedPermissions(t *testing.T) {
	t.Parallel()
	_, conf, _ := strings.Cut(section(t), "```\nauthorization {")
	conf, _, ok := strings.Cut(conf, "```")
	if !ok {
		t.Fatal("docs/events.md has no configuration of servers")
	}
	_, public, seed := nkey(t, nkeys.CreateUser)
	conf = regexp.MustCompile(`\bU[A-Z2-7]{55}\b`).ReplaceAllString(conf, public)
	conf = "authorization {" + strings.Replace(conf, "users = [", "users = [ { user: admin, password: x }", 1)
	testLogins(t, conf, []login{
		{name: "publish", opts: Options{CredentialsFile: write(t, t.TempDir(), "seed", seed)}},
		{name: "elsewhere", opts: Options{CredentialsFile: write(t, t.TempDir(), "seed2", seed), Subject: "bounces.{kind}.{category}"},
			want: `Permissions Violation for Publish to "bounces.dsn.mailbox-full"`},
	}, nats.UserInfo("admin", "x"))
}

// The documented consumer prints each record once, even if it is started again.
func TestDocumentedConsumer(t *testing.T) {
	t.Parallel()
	code, err := lab.PageCode("docs/events.md", "To NATS JetStream", "go")
	if err != nil {
		t.Fatal(err)
	}
	source := write(t, t.TempDir(), "main.go", []byte(code))
	program := filepath.Join(t.TempDir(), "consumer")
	if err := lab.Build(source, program); err != nil {
		t.Fatal(err)
	}
	servers := start(t, ports(t, 1), "")
	js := stream(t, servers, "bounces.>")
	s := sink(t, Options{Servers: servers.URLs()})
	for run := range 2 {
		send(t, s, items(t, 3*run, 3))
		cmd := exec.CommandContext(t.Context(), program, servers.URLs()[0])
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := make(chan string, 10)
		go func() {
			for in := bufio.NewScanner(out); in.Scan(); {
				lines <- in.Text()
			}
		}()
		for i := range 3 {
			select {
			case got := <-lines:
				if got != " soft " {
					t.Errorf("it prints %q", got)
				}
			case <-time.After(time.Minute):
				t.Fatalf("run %d prints %d records, not 3", run, i)
			}
		}
		// All are acknowledged before the next run begins.
		err = lab.Until("the acknowledgements", func() (bool, error) {
			c, err := js.Consumer(t.Context(), "BOUNCES", "crm")
			if err != nil {
				return false, err
			}
			return c.CachedInfo().NumAckPending == 0, nil
		})
		if err != nil {
			t.Error(err)
		}
		if len(lines) > 0 {
			t.Errorf("run %d prints more: %s", run, <-lines)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
