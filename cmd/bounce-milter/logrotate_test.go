//go:build e2e

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/event/file"
)

// TestLogrotate runs the real logrotate with our recipe while records are written. Each record
// must be in one of the files, once.
func TestLogrotate(t *testing.T) {
	program, err := exec.LookPath("logrotate")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	recipe := strings.NewReplacer("/var/log/bounce-milter", dir, "su bounce-milter bounce-milter", "su root root").
		Replace(read(t, "packaging/logrotate/bounce-milter"))
	conf, state := filepath.Join(dir, "conf"), filepath.Join(dir, "state")
	if err := os.WriteFile(conf, []byte(recipe), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "events.jsonl")
	sink, err := file.New(file.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	const rounds, each = 4, 50
	for i := range rounds {
		for j := range each {
			line := fmt.Appendf(nil, `{"id":"%d"}`, i*each+j)
			if _, err := sink.Send(context.Background(), []event.Item{{JSON: line}}); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.Command(program, "-f", "-s", state, conf).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	out, err := exec.Command("sh", "-c", "zcat -f "+path+"*").Output()
	if err != nil {
		t.Fatal(err)
	}
	for i := range rounds * each {
		if n := strings.Count(string(out), fmt.Sprintf("{\"id\":\"%d\"}\n", i)); n != 1 {
			t.Errorf("record %d is there %d times", i, n)
		}
	}
	if files, _ := filepath.Glob(path + "*"); len(files) != rounds {
		t.Errorf("rotated to %q", files)
	}
}
