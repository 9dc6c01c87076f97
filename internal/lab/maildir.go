package lab

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Maildir is the path of a Maildir that a mail server delivers to. It need not
// exist before the first delivery.
type Maildir string

// Message is a delivered message: its bytes as they lie in the Maildir or as
// the remote server received them, with LF line ends.
type Message struct {
	Raw  []byte
	File string
}

// Messages returns what was delivered, the first delivery first.
func (m Maildir) Messages() ([]Message, error) {
	dir := filepath.Join(string(m), "new")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a Maildir: %w", err)
	}
	type file struct {
		Message
		time int64
	}
	var files []file
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("reading a Maildir: %w", err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a Maildir: %w", err)
		}
		files = append(files, file{Message{Raw: raw, File: path}, info.ModTime().UnixNano()})
	}
	slices.SortStableFunc(files, func(a, b file) int { return cmp.Compare(a.time, b.time) })
	out := make([]Message, len(files))
	for i := range files {
		out[i] = files[i].Message
	}
	return out, nil
}

// Count returns the number of delivered messages.
func (m Maildir) Count() (int, error) {
	entries, err := os.ReadDir(filepath.Join(string(m), "new"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("reading a Maildir: %w", err)
	}
	return len(entries), nil
}

// Wait waits until n messages lie in the Maildir and returns them.
func (m Maildir) Wait(n int) ([]Message, error) {
	err := Until(fmt.Sprintf("%d messages in %s", n, filepath.Base(string(m))), func() (bool, error) {
		have, err := m.Count()
		return have >= n, err
	})
	if err != nil {
		return nil, err
	}
	return m.Messages()
}

// Field is a header field; Value is unfolded, without white space around it.
type Field struct{ Name, Value string }

// Fields returns the message's header fields, from the top.
func (m Message) Fields() []Field {
	head, _, _ := bytes.Cut(m.Raw, []byte("\n\n"))
	var out []Field
	for line := range strings.SplitSeq(string(head), "\n") {
		if line == "" {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if len(out) > 0 {
				out[len(out)-1].Value += " " + strings.TrimSpace(line)
			}
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		out = append(out, Field{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	return out
}

// Values returns the values of the fields of one name, from the top.
func (m Message) Values(name string) []string {
	var out []string
	for _, f := range m.Fields() {
		if strings.EqualFold(f.Name, name) {
			out = append(out, f.Value)
		}
	}
	return out
}

// Get returns the first value of a field, "" if there is none.
func (m Message) Get(name string) string {
	if v := m.Values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Tags returns the fields whose name begins with prefix, from the top.
func (m Message) Tags(prefix string) []Field {
	var out []Field
	for _, f := range m.Fields() {
		if len(f.Name) >= len(prefix) && strings.EqualFold(f.Name[:len(prefix)], prefix) {
			out = append(out, f)
		}
	}
	return out
}

// Params reads the value of an X-Bounce-Result field: the recipient under "",
// then its parameters.
func (f Field) Params() map[string]string {
	out := map[string]string{}
	for i, part := range strings.Split(f.Value, ";") {
		part = strings.TrimSpace(part)
		if i == 0 {
			out[""] = part
			continue
		}
		if k, v, ok := strings.Cut(part, "="); ok {
			out[k] = v
		}
	}
	return out
}
