package event

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Each way in which a secret's file can be wrong has an error of its own, which does not
// quote the file. No file makes the reader wait.
func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("good", "\n key of ours \n")
	write("empty", " \n")
	write("longest", strings.Repeat("k", maxSecret)+"\n")
	write("long", strings.Repeat("k", maxSecret+1))
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{ // of the error, "" for none
		"good": "", "longest": "", "empty": "is empty", "long": "is longer than", "none": "does not exist", "pipe": "is empty", ".": "cannot be read",
	} {
		data, err := ReadSecret(filepath.Join(dir, name))
		switch {
		case want == "" && (err != nil || len(data) == 0):
			t.Errorf("%s: %q, %v", name, data, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "kkk")):
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if data, _ := ReadSecret(filepath.Join(dir, "good")); string(data) != "key of ours" {
		t.Errorf("read %q", data)
	}
}

func TestCheckSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	check := func(want string) {
		t.Helper()
		var ps toml.Problems
		CheckSecret(&ps, "k", path)
		if got := ps.Error(); want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	check("k: the file " + path + " does not exist")
	if err := os.WriteFile(path, []byte("key of ours"), 0o640); err != nil {
		t.Fatal(err)
	}
	check("")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	check("k: everybody may read " + path + ": chmod o= " + path)
}

func TestReadCertificates(t *testing.T) {
	dir := t.TempDir()
	words := filepath.Join(dir, "words")
	if err := os.WriteFile(words, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{words: "contains no certificate", filepath.Join(dir, "none"): "does not exist", dir: "cannot be read"} {
		if pool, err := ReadCertificates(path); err == nil || pool != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
