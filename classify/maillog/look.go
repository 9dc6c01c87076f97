package maillog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/files"
)

// Bounds on what of a file is looked at, in octets.
const (
	lookAt    = 32 << 10 // if the first line ends in the first half
	lookAtAll = 1 << 20  // if the first line is longer
)

// maxLooked bounds the lines that are looked at.
const maxLooked = 40

// IsLog reports whether text begins like a log: most of its lines have a time stamp and
// the name of a program, or are of the journal in JSON.
func IsLog(text []byte) bool {
	good, lines := 0, 0
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) && lines > 0 {
			break // cut
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if isLogLine(line) {
			good++
		} else if lines == 0 && bytes.HasPrefix(line, []byte("From ")) {
			return false // an mbox
		}
		if lines++; lines == maxLooked {
			break
		}
	}
	return good > 0 && good*2 > lines
}

func isLogLine(line []byte) bool {
	if bytes.HasPrefix(line, []byte("{")) { // the fields of the journal have no order
		return bytes.Contains(line, []byte(`"__REALTIME_TIMESTAMP"`)) || bytes.Contains(line, []byte(`"MESSAGE"`)) || bytes.Contains(line, []byte(`"_HOSTNAME"`))
	}
	s := string(line[:min(len(line), 4<<10)])
	l, ok := readSyslog(s)
	if !ok {
		return false
	}
	if l.stamp.kind == noStamp {
		_, rest, found := cutQueueID(l.message)
		return l.program != "" && l.pid != "" || found && (strings.HasPrefix(rest, "to=") || strings.HasPrefix(rest, "from="))
	}
	return l.program != "" || l.stamp.kind == iso // Exim's own log has lines without an id
}

// Look reports whether the file at a path begins like a log, see [LookAt].
func Look(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, files.Why(err)
	}
	defer f.Close()
	return LookAt(f)
}

// LookAt reports whether what r gives begins like a log, compressed or not; see [IsLog].
// It reads some 32 KB, or what they are decompressed from; if the first line is longer,
// that line and some more, up to 1 MB. A file of systemd's journal is a log too, but a
// [Source] only says how to read it.
func LookAt(r io.Reader) (bool, error) {
	var f openedLog
	defer f.Close()
	if err := f.decompress(r); err != nil {
		if errors.Is(err, errJournal) {
			return true, nil
		}
		return false, err
	}
	var head []byte
	for size := lookAt; ; size *= 2 {
		had := len(head)
		head = append(head, make([]byte, size-had)...)
		n, err := readFull(f.Reader, head[had:])
		head = head[:had+n]
		if len(head) == 0 && err != nil && err != io.EOF {
			return false, err
		}
		// One more line at least tells a log from a text that begins with a long line.
		if err != nil || size >= lookAtAll || bytes.IndexByte(head[:size/2], '\n') >= 0 {
			return IsLog(head), nil
		}
	}
}

// Order puts the paths of rotated logs in the order in which they were written, the
// oldest first: mail.log.2.gz, mail.log.1, mail.log; mail.log-20261122.xz, mail.log. Logs
// of different names keep their order.
func Order(paths []string) []string {
	type log struct {
		path, base string
		age        string // compares as the logs were written
		first      int
	}
	first := map[string]int{}
	logs := make([]log, len(paths))
	for i, p := range paths {
		base, age := rotation(p)
		if _, ok := first[base]; !ok {
			first[base] = i
		}
		logs[i] = log{p, base, age, first[base]}
	}
	slices.SortStableFunc(logs, func(a, b log) int {
		return cmp.Or(a.first-b.first, strings.Compare(a.age, b.age))
	})
	ordered := make([]string, len(logs))
	for i, l := range logs {
		ordered[i] = l.path
	}
	return ordered
}

// rotation splits the path of a rotated log into that of the log and something that
// compares by age: dates, then numbers, the highest first, then nothing.
func rotation(path string) (base, age string) {
	base = path
	switch filepath.Ext(base) {
	case ".gz", ".xz", ".zst", ".bz2":
		base = strings.TrimSuffix(base, filepath.Ext(base))
	}
	i := len(base)
	for i > 0 && (ascii.IsDigit(base[i-1]) || base[i-1] == '-' || base[i-1] == 'T') {
		i--
	}
	suffix := strings.TrimLeft(base[i:], "-")
	switch {
	case i == 0 || suffix == "":
		return base, "9"
	case len(suffix) >= 8: // dateext: mail.log-20261122, mail.log.2026-11-22
		return strings.TrimRight(base[:i], ".-"), "1" + suffix
	case base[i-1] == '.' && len(suffix) <= 4 && digits(suffix) == len(suffix):
		return base[:i-1], fmt.Sprintf("2%04d", 9999-number(suffix))
	}
	return base, "9"
}
