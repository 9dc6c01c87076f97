package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// A JSON value is written as one line, whatever a reader may treat as the end of a line, and
// keeps its meaning.
func TestJSONIsOneLine(t *testing.T) {
	in := "a\x7fb é <&> 2\u00a0x €"
	for r := range rune(0xA0) {
		in += string(r)
	}
	const hidden = "\u2028\u2029\u200b\u202e\u2066\ufeff\U000e0041"
	in += hidden + " end\u0085"
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if err := errors.Join(newEncoder(&app{out: w}).Encode(map[string]string{"k": in}), w.Flush()); err != nil {
		t.Fatal(err)
	}
	line, ok := strings.CutSuffix(out.String(), "\n")
	if !ok || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7F && r < 0xA0 || strings.ContainsRune(hidden, r) }) {
		t.Errorf("%q", line)
	}
	var back map[string]string
	if err := json.Unmarshal([]byte(line), &back); err != nil || back["k"] != in {
		t.Errorf("%v: %q, want %q", err, back["k"], in)
	}
	if !strings.Contains(line, "é <&> 2\u00a0x €") {
		t.Errorf("letters are escaped: %s", line)
	}
}
