package trial

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAnswer(t *testing.T) {
	long := "X-Bounce-Result: " + strings.Repeat("a", 1000)
	answer := Answer([]string{"X-Bounce-Type: hard", "X-Note: 100 % of\r\n\tit", long})
	for line := range strings.SplitSeq(answer, "\r\n") {
		if len(line) > 450 || strings.ContainsAny(line, "%\r\n") || !strings.HasPrefix(line, "550") {
			t.Errorf("the line %q", line)
		}
	}
	if n := strings.Count(answer, "550 "); n != 1 || !strings.HasPrefix(answer[strings.LastIndex(answer, "\r\n"):], "\r\n550 5.7.0 ") {
		t.Errorf("the answer %q", answer)
	}
	want := []string{"X-Bounce-Type: hard", "X-Note: 100 of it", long[:maxLine]}
	// A client takes the codes off, and a mail server adds words of its own.
	bare := strings.NewReplacer("550-", "", "550 ", "", "\r", "").Replace(answer)
	for _, text := range []string{answer, bare, bare + "\n5.7.0 For help, see: the page"} {
		if got, ok := Read(text); !ok || !slices.Equal(got, want) {
			t.Errorf("%q is read as %q", text, got)
		}
	}
	for _, text := range []string{"", "5.7.1 Spam", "5.7.1 X-Bounce-Type: hard"} {
		if got, ok := Read(text); ok || got != nil {
			t.Errorf("%q is read as %q", text, got)
		}
	}
	if got, ok := Read(Answer(nil)); !ok || len(got) > 0 {
		t.Errorf("no fields are read as %q", got)
	}
}

func TestSecret(t *testing.T) {
	config := t.TempDir() + "/c.toml"
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	first := Find(config)
	if len(first) != 1 || first[0].Replaced {
		t.Fatalf("found %+v", first)
	}
	for _, wrong := range []string{"", "x", first[0].Secret[1:], first[0].Secret + "A", strings.ToLower(first[0].Secret)} {
		if s.Proves([]byte(wrong)) {
			t.Errorf("%q proves it", wrong)
		}
	}
	if !s.Proves([]byte(" " + first[0].Secret)) {
		t.Error("the secret does not prove it")
	}
	if s.Proves([]byte(first[0].Secret)) {
		t.Error("the secret proves it twice")
	}
	if second := Find(config); len(second) != 1 || second[0].Secret == first[0].Secret {
		t.Errorf("the next secret is %+v", second)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left := Find(config); len(left) > 0 {
		t.Errorf("after its end, %+v is found", left)
	}
	var none *Secret
	if none.Proves([]byte(first[0].Secret)) || none.Close() != nil {
		t.Error("no secret proves it")
	}
}

// Another user of the host, however many processes of his claim to be daemons, neither keeps
// the daemon from being found nor the search from ending.
func TestOthersMayClaimToBeDaemons(t *testing.T) {
	var p places
	taken := 0
	for range 100 {
		if p.take(1000) {
			taken++
		}
	}
	if taken != mostOfOne || !p.take(0) {
		t.Errorf("one user took %d places, and another one none", taken)
	}
	for uid := range uint32(100) {
		if p.take(uid) {
			taken++
		}
	}
	if taken+1 != maxDaemons {
		t.Errorf("%d places were taken", taken+1)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(pipe); err == nil {
		t.Error("a pipe holds a secret")
	}
}
