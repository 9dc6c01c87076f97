package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/doctor"
)

func runDoctor(a *app, _ []string) error {
	b := readBuild()
	list := doctor.Examine(context.Background(), doctor.Options{
		Config: a.options.config, Send: a.options.send, Version: b.version, Revision: b.commit, Built: builtAt(),
	})
	if a.options.json() {
		enc := newEncoder(a)
		for _, f := range list {
			if err := enc.Encode(f); err != nil {
				return err
			}
		}
	} else {
		a.findings(list)
	}
	if doctor.Worst(list) == doctor.Wrong {
		return errSaid
	}
	return nil
}

// builtAt is when the program was committed, as far as it knows.
func builtAt() time.Time {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, _ := time.Parse(time.RFC3339, s.Value)
			return t
		}
	}
	return time.Time{}
}

// findings prints what doctor found. Commands are not wrapped, so that they can be
// copied.
func (a *app) findings(list []doctor.Finding) {
	p := newPaper(a)
	colours := map[doctor.State]string{doctor.Good: green, doctor.Warning: yellow, doctor.Wrong: red}
	count := map[doctor.State]int{}
	for _, f := range list {
		count[f.State]++
		p.hang(p.style.paint(colours[f.State], pad(string(f.State), 8))+" ", 9, f.Check+": "+f.Says)
		for _, h := range f.Headers {
			p.hang("           ", 11, h)
		}
		for _, m := range f.Mend {
			fmt.Fprintln(a.out, "         $ "+clean(m))
		}
	}
	fmt.Fprintf(a.out, "\n%d wrong, %s, %d that could not be looked at\n", count[doctor.Wrong],
		counted(count[doctor.Warning], "warning", "warnings"), count[doctor.Unknown])
}
