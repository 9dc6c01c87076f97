package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress shows on a terminal how far a long run is. A nil progress shows
// nothing.
type progress struct {
	w       io.Writer
	columns int
	command string
	unit    string // what is counted
	total   int64  // octets, 0 if unknown
	done    int64
	counted int
	start   time.Time
	shown   time.Time
	visible bool
	now     func() time.Time
}

// A short run shows no bar; that of a long run is redrawn a few times a second.
const (
	progressAfter = 400 * time.Millisecond
	progressEvery = 100 * time.Millisecond
)

// progress returns the bar of a command that counts units and reads so many octets in all, nil
// if nobody sees it.
func (a *app) progress(command, unit string, total int64) *progress {
	if !isTerminal(a.stderr) {
		return nil
	}
	return newProgress(a.stderr, width(a.stderr), command, unit, total)
}

func newProgress(w io.Writer, columns int, command, unit string, total int64) *progress {
	p := &progress{w: w, columns: columns, command: command, unit: unit, total: total, now: time.Now}
	p.start = p.now()
	return p
}

// add counts n units of so many octets together.
func (p *progress) add(octets int64, n int) {
	if p == nil {
		return
	}
	p.done += octets
	p.counted += n
	now := p.now()
	if now.Sub(p.start) < progressAfter || now.Sub(p.shown) < progressEvery {
		return
	}
	p.shown, p.visible = now, true
	io.WriteString(p.w, "\r"+p.line(now)+"\x1b[K")
}

// line draws the bar: "classify ██████▌    41 %  1,204 messages  3 s left".
func (p *progress) line(now time.Time) string {
	elapsed := now.Sub(p.start)
	tail := grouped(p.counted) + " " + p.unit
	if p.total <= 0 {
		return p.command + "  " + tail
	}
	share := min(1, float64(p.done)/float64(p.total))
	if share > 0 {
		left := time.Duration(float64(elapsed) * (1 - share) / share)
		tail += fmt.Sprintf("  %s left", left.Round(time.Second))
	}
	n := max(5, min(40, p.columns-len(p.command)-len(tail)-len("    100 %  ")-1))
	filled := bar(share, n)
	filled += strings.Repeat(" ", n-len([]rune(filled)))
	return fmt.Sprintf("%s  %s  %3.0f %%  %s", p.command, filled, share*100, tail)
}

// clear removes the bar, before something else is printed and at the end.
func (p *progress) clear() {
	if p != nil && p.visible {
		io.WriteString(p.w, "\r\x1b[K")
		p.visible = false
	}
}

// grouped writes a number with a comma between thousands.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bar draws a share from 0 to 1 in n columns, to an eighth of a column.
func bar(share float64, n int) string {
	eighths := int(share*float64(n)*8 + 0.5)
	if eighths == 0 && share > 0 {
		eighths = 1
	}
	eighths = min(max(eighths, 0), n*8)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}
