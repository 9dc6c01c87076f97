//go:build e2e

package webhook

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// The receiver in docs/events.md accepts what we send, and prints each record once.
func TestDocumentedReceiver(t *testing.T) {
	code, err := lab.PageCode("docs/events.md", "To a program: webhooks", "python")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "receiver.py")
	if err := os.WriteFile(script, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	ports, err := lab.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(ports[0])

	o := DefaultOptions()
	o.URL, o.SecretFile = "http://127.0.0.1:"+port+"/hooks", secretFile(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
	cmd := exec.CommandContext(t.Context(), "python3", script, port, o.SecretFile)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(complaints.String())
		}
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	s := newSink(t, o)
	batch := records(t, 3)
	for range 2 {
		if sent, err := s.Send(t.Context(), batch); err != nil || sent.Done != 3 || len(sent.Refused) != 0 {
			t.Fatalf("Send() = %+v, %v", sent, err)
		}
	}
	o.SecretFile = secretFile(t, "another secret")
	if sent, err := newSink(t, o).Send(t.Context(), batch); err != nil || len(sent.Refused) != 3 {
		t.Errorf("another's signature: %+v, %v", sent, err)
	}
	_ = cmd.Process.Kill()
	var lines []string
	for in := bufio.NewScanner(out); in.Scan(); {
		lines = append(lines, in.Text())
	}
	if got := strings.Join(lines, "\n"); got != "u0@example.com hard \nu1@example.com hard \nu2@example.com hard " {
		t.Errorf("it prints %q", got)
	}
}
