//go:build e2e

package file

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// The reader in docs/events.md prints each record, despite a torn line and logrotate.
func TestDocumentedReader(t *testing.T) {
	code, err := lab.PageCode("docs/events.md", "To a file", "python")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "events.jsonl")
	s, err := New(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	record := func(name string) string {
		return `{"recipient":"` + name + `@example.com","type":"hard","reason":"unknown-user"}`
	}
	send(t, s, record("a"), `{"recipient":"torn`, record("b"))

	cmd := exec.CommandContext(t.Context(), "python3", "-c", code, path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	lines := make(chan string)
	go func() {
		for in := bufio.NewScanner(out); in.Scan(); {
			lines <- in.Text()
		}
	}()
	wants := func(names ...string) {
		t.Helper()
		for _, name := range names {
			select {
			case got := <-lines:
				if want := name + "@example.com hard unknown-user"; got != want {
					t.Fatalf("it prints %q, want %q", got, want)
				}
			case <-time.After(time.Minute):
				t.Fatalf("it does not print %s", name)
			}
		}
	}
	wants("a", "b")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	send(t, s, record("c"))
	wants("c")
	send(t, s, record("d"))
	wants("d")
}
