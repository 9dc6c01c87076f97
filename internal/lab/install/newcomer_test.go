//go:build e2e

package install

import (
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// newcomer is somebody at a fresh machine who types what a document says, line by line.
type newcomer struct {
	*machine
	before string   // what holds for every command: exports
	left   []string // commands that the document itself calls too long
}

// TestNewcomer does what README and tour say, from top to bottom, at a fresh machine with a
// mail server, Go and the source. What they show is what comes out, and nothing is needed
// that they do not say.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	module, err := lab.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	built(t, "SHA256SUMS") // so that Go has everything at hand here, without a network
	env := strings.Fields(output(t, "go", "env", "GOROOT", "GOMODCACHE", "GOCACHE"))
	if len(env) != 3 {
		t.Fatalf("go env says %q", env)
	}
	root := fresh(t, "")
	output(t, "sh", "-c", `mkdir "$2" && cd "$1" && tar -c --exclude=./bin --exclude=./.git . | tar -x -C "$2"`, "sh", module, root+"/root/bounce-milter")
	m := boot(t, root, env[0], "--bind="+env[1], "--bind="+env[2])
	m.run("apt-get", "install", "-q", "-y", "--no-install-recommends", "--no-download", "postfix")
	n := &newcomer{machine: m, before: "export PATH=\"$PATH:" + env[0] + "/bin\" GOMODCACHE=" + env[1] + " GOCACHE=" + env[2] +
		" GOPROXY=off GOTOOLCHAIN=local GOFLAGS=-buildvcs=false HOME=/root\ncd /root/bounce-milter\n"}

	readme, tour := n.read("README.md"), n.read("docs/tour.md")
	last := slices.IndexFunc(tour, func(b fenced) bool { return b.heading == "## For real" })
	if last < 0 {
		t.Fatal("the tour has no end")
	}
	n.follow(tour[:last]...) // it sends people to the README for the rest

	// The mailbox that the README speaks of.
	m.run("sh", "-ec", "mkdir -p /root/Maildir/.Bounces/cur && cd /root/bounce-milter/docs/tour && "+
		"cp full.eml /root/Maildir/.Bounces/cur/1763500000.host && cp gone.eml /root/Maildir/.Bounces/cur/1764000000.host")
	m.run("postconf", "mydestination=lab.test, localhost", "mynetworks=127.0.0.0/8", "smtpd_peername_lookup=no")
	m.run("systemctl", "restart", "postfix")
	n.follow(readme...)

	// The bounce that the README shows, the first one of make demo.
	got := m.deliver(m.dial(), "first", lab.Refused{Address: "u@example.com", Status: "5.2.2", RemoteMTA: "gmail-smtp-in.l.google.com",
		Diagnostic: "552-5.2.2 The recipient's inbox is out of storage space. Please direct the 552-5.2.2 recipient to the help page. 552 5.2.2"})
	shown := slices.DeleteFunc(slices.Clone(readme), func(b fenced) bool { return b.language != "text" })
	if len(shown) < 2 {
		t.Fatalf("the README shows %q", shown)
	}
	ours, rest, _ := strings.Cut(shown[0].text, "From: ")
	if !strings.Contains(got, "\n"+ours) {
		t.Errorf("the README shows\n%s, and the mailbox has\n%.1500s", ours, got)
	}
	for line := range strings.Lines("From: " + rest) {
		if !strings.Contains(got, "\n"+line) {
			t.Errorf("the bounce lacks %s", line)
		}
	}
	counted := m.run("curl", "-sS", "http://127.0.0.1:9894/metrics")
	for line := range strings.Lines(shown[1].text) {
		if !strings.Contains(counted, "\n"+line) {
			t.Errorf("the README says %sand /metrics does not", line)
		}
	}
	n.follow(tour[last:]...)
	if want := []string{"make test"}; !slices.Equal(n.left, want) {
		t.Errorf("the documents call %q too long, want %q", n.left, want)
	}
}

// read returns the blocks of a document. Each says what it is.
func (n *newcomer) read(document string) []fenced {
	n.t.Helper()
	list, err := blocks(document)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, b := range list {
		if !slices.Contains([]string{"sh", "console", "text", "toml", "sieve", "m4"}, b.language) {
			n.t.Errorf("%s, below %q: a block is %q, so nobody knows whether it is to be typed:\n%s", document, b.heading, b.language, b.text)
		}
	}
	return list
}

// follow types the commands of the blocks.
func (n *newcomer) follow(list ...fenced) {
	n.t.Helper()
	for _, b := range list {
		for _, c := range b.commands() {
			switch {
			case strings.HasPrefix(c.command, "export "):
				n.before += c.command + "\n"
			case strings.Contains(c.note, "Ctrl-C ends it"):
				n.interrupt(c.command)
			case strings.Contains(c.note, " minutes"):
				n.left = append(n.left, c.command)
			default:
				n.enter(c)
			}
		}
	}
}

// enter types a command, in a window of 80 columns where the document shows what it
// prints.
func (n *newcomer) enter(c typed) {
	n.t.Helper()
	command := c.command
	if strings.HasPrefix(command, "sudo apt install ") {
		command = strings.Replace(command, "install ", "install -y ", 1) // nobody is there to be asked
	}
	if c.prints == "" {
		n.run("sh", "-ec", n.before+command)
		return
	}
	quoted := "'" + strings.ReplaceAll(n.before+"stty cols 80\n"+command, "'", `'\''`) + "'"
	said := strings.ReplaceAll(n.run("script", "-qec", "sh -ec "+quoted, "/dev/null"), "\r\n", "\n")
	if got, want := bare(said), bare(c.prints); got != want {
		n.t.Errorf("%s prints\n%s\nwant\n%s", command, got, want)
	}
}

// bare is what is seen of a text on paper: without colours, and spaces at the end of lines.
func bare(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		for {
			before, after, ok := strings.Cut(line, "\x1b[")
			if !ok {
				break
			}
			_, after, _ = strings.Cut(after, "m")
			line = before + after
		}
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// interrupt types a command that serves until Ctrl-C, and ends it so.
func (n *newcomer) interrupt(command string) {
	n.t.Helper()
	// The shell leads a group, as it would at a terminal.
	script := n.before + "echo $$ >/run/newcomer\nexec " + command
	cmd := exec.Command("nsenter", "-t", n.leader, "-m", "-u", "-i", "-n", "-p", "-r", "-w", "env", "-i",
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "setsid", "-w", "sh", "-ec", script)
	var said lockedBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err := lab.UntilIn(bootPatience, command+" to serve", func() (bool, error) {
		select {
		case err := <-ended:
			ended <- err
			n.t.Fatalf("%s: %v\n%s", command, err, said.String())
		default:
		}
		return strings.Contains(said.String(), "msg=serving"), nil
	})
	if err != nil {
		cmd.Process.Kill()
		n.t.Fatalf("%v\n%s", err, said.String())
	}
	if page := n.run("curl", "-sS", "http://127.0.0.1:9894/"); !strings.Contains(page, "<title>") {
		n.t.Errorf("the page is %.200s", page)
	}
	n.run("sh", "-ec", "/bin/kill -INT -- -$(cat /run/newcomer)")
	if err := lab.UntilIn(bootPatience, command+" to end", func() (bool, error) { return len(ended) > 0, nil }); err != nil {
		n.t.Fatalf("%v\n%s", err, said.String())
	}
	if !strings.Contains(said.String(), "msg=stopped") {
		n.t.Errorf("after Ctrl-C %s says\n%s", command, said.String())
	}
}
