package classify

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMails judges whole messages in the form that real software writes: what
// the words of a notice prove depends on where they stand. Beside each message
// NAME.eml stands NAME.want: its kind, then a line for every recipient with
// address, action, category, type, reason, status and SMTP code ("-": none).
// A reason "*" is any.
func TestMails(t *testing.T) {
	e := builtIn(t)
	paths, err := filepath.Glob("testdata/mails/*.eml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no messages: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".eml"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(path, ".eml") + ".want")
			if err != nil {
				t.Fatal(err)
			}
			for _, end := range []string{"\n", "\r\n"} {
				res := e.Classify(context.Background(), []byte(strings.ReplaceAll(string(raw), "\n", end)))
				if got := told(&res, string(want)); got != string(want) {
					t.Errorf("lines end with %q: got\n%swant\n%s", end, got, want)
				}
			}
		})
	}
}

// told writes a result as a .want file has it, with "*" for the reason where
// want has it.
func told(res *Result, want string) string {
	lines := strings.Split(want, "\n")
	var b strings.Builder
	fmt.Fprintln(&b, res.Kind)
	for i := range res.Recipients {
		r := &res.Recipients[i]
		reason := r.Reason
		if i+1 < len(lines) {
			if f := strings.Fields(lines[i+1]); len(f) > 4 && f[4] == "*" {
				reason = "*"
			}
		}
		code := ""
		if r.SMTPCode != 0 {
			code = fmt.Sprint(r.SMTPCode)
		}
		fields := []string{r.Address, string(r.Action), string(r.Category), string(r.Type), reason, r.Status, code}
		for j := range fields {
			if fields[j] == "" {
				fields[j] = "-"
			}
		}
		fmt.Fprintln(&b, strings.Join(fields, " "))
	}
	return b.String()
}
