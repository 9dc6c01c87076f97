package follow

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lines"
)

// Journal is the path that stands for systemd's journal.
const Journal = "journal"

// journal runs journalctl and passes its lines on. When it ends it is started anew, behind
// the last entry.
type journal struct {
	f      *Follower
	cursor string
}

// facilityMail restricts the journal to what syslog calls mail (RFC 5424 section 6.2.1).
const facilityMail = "SYSLOG_FACILITY=2"

func (j *journal) args() []string {
	// Without --all, journalctl leaves out a message of more than 4 KB.
	args := []string{"--follow", "--output=json", "--all", "--no-pager", "--quiet"}
	// QUIRK: with --follow, journalctl of systemd 252 shows the entries of this boot only, unless
	// it is to merge journals; and in a container, a unit with a /proc of its own reads the
	// identity of another boot. Journals of other machines stay out by their identity.
	machine := machineID()
	if machine != "" {
		args = append(args, "--merge")
	}
	if j.cursor != "" {
		args = append(args, "--after-cursor="+j.cursor)
	} else {
		args = append(args, "--lines=0")
	}
	if machine != "" {
		args = append(args, "_MACHINE_ID="+machine)
	}
	return append(args, facilityMail)
}

// machineID returns the identity of this machine (machine-id(5)), "" if it has none.
func machineID() string {
	id, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// follow passes entries on until ctx ends.
func (j *journal) follow(ctx context.Context) {
	if j.cursor == "" {
		j.begin(ctx)
	}
	wait := time.Second
	for ctx.Err() == nil {
		begun := time.Now()
		err := j.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > time.Minute {
			wait = time.Second
		}
		j.f.wrong(fmt.Sprintf("journalctl ended: %v", err))
		j.f.log.Warn("journalctl ended and is started anew", "error", err, "wait", wait)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, time.Minute)
	}
}

// begin takes the last entry about mail as the place to go on from, so that what comes before
// the next one is read is not lost if this process or journalctl ends before. In a journal
// without mail there is no such place.
//
// QUIRK: journalctl of systemd 252 passes over the first entry that matches behind a cursor, if
// the entry of that cursor does not match.
func (j *journal) begin(ctx context.Context) {
	out, err := exec.CommandContext(ctx, "journalctl", "--lines=1", "--output=json", "--output-fields=PRIORITY", "--no-pager", "--quiet", facilityMail).Output()
	if err != nil {
		return // journalctl fails again when it is to follow, and then it is said
	}
	if j.cursor = cursorOf(out); j.cursor != "" {
		j.f.begins(j.cursor)
	}
}

func (j *journal) run(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "journalctl", j.args()...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	var said bytes.Buffer
	cmd.Stderr = &limited{&said}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	br := bufio.NewReaderSize(out, chunk)
	for {
		line, err := lines.Read(br, maxLine)
		if len(line) > 0 {
			j.f.wrong("")
			c := cursorOf(line)
			if c != "" {
				j.cursor = c
			}
			j.f.journalLine(line, c, br.Buffered() == 0)
		}
		if err != nil {
			break
		}
	}
	err = cmd.Wait()
	if text := strings.TrimSpace(said.String()); text != "" {
		return fmt.Errorf("%s", lines.First(text))
	}
	return err
}

// cursorOf returns the cursor of an entry, "" if it has none.
func cursorOf(line []byte) string {
	var e struct {
		Cursor string `json:"__CURSOR"`
	}
	if json.Unmarshal(line, &e) != nil {
		return ""
	}
	return e.Cursor
}

// limited keeps the beginning of what is written.
type limited struct{ b *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.b.Write(p[:min(len(p), max(0, 4096-l.b.Len()))])
	return len(p), nil
}

var _ io.Writer = (*limited)(nil)
