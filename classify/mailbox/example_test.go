package mailbox_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/mailbox"
)

// Messages walks messages, mboxes, Maildirs and folders of any of them. An error
// stands in the place of what cannot be read, and the walk goes on.
func ExampleSource_Messages() {
	dir, err := os.MkdirTemp("", "mail")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{
		"Maildir/new/1.example": "Subject: one\n\nHello\n",
		"Maildir/cur/2.example": "Subject: two\n\nHello\n",
		"Maildir/tmp/3.example": "Subject: three, not delivered yet\n\n",
		"old.mbox":              "From jo Thu Sep  3 08:15:03 2026\nSubject: four\n\n>From here on\n\nFrom jo Thu Sep  3 08:16:00 2026\nSubject: five\n\n",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			log.Fatal(err)
		}
	}
	var src mailbox.Source
	for m := range src.Messages(filepath.Join(dir, "Maildir"), filepath.Join(dir, "old.mbox"), filepath.Join(dir, "missing.eml")) {
		name := filepath.ToSlash(strings.TrimPrefix(m.Name, dir+string(filepath.Separator)))
		if m.Err != nil {
			fmt.Println(name, "error:", m.Err)
			continue
		}
		subject, _, _ := strings.Cut(string(m.Raw), "\n")
		fmt.Println(name, subject)
	}
	// Output:
	// Maildir/new/1.example Subject: one
	// Maildir/cur/2.example Subject: two
	// old.mbox#1 Subject: four
	// old.mbox#2 Subject: five
	// missing.eml error: no such file or directory
}

// Size is the whole of a progress bar, of which each message's Octets are a part.
func ExampleSource_Size() {
	dir, err := os.MkdirTemp("", "mail")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "old.mbox")
	if err := os.WriteFile(file, []byte("From jo Thu Sep  3 08:15:03 2026\nSubject: one\n\nHello\n\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	var src mailbox.Source
	total, done := src.Size(file), int64(0)
	for m := range src.Messages(file) {
		done += m.Octets
		fmt.Printf("%d %%\n", 100*done/total)
	}
	// Output:
	// 100 %
}
