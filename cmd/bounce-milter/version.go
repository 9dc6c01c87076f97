package main

import (
	_ "embed"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/milter"
)

// versionFile is the one place that has the version. The packages and the image take it
// from there too, and a test holds CHANGELOG.md to it.
//
//go:embed VERSION
var versionFile string

func runVersion(a *app, _ []string) error {
	b := readBuild()
	fmt.Fprintf(a.out, "bounce-milter %s\ncommit %s\n%s %s/%s\nrules %s\n",
		b.version, b.commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, classify.BuiltInVersion())
	return nil
}

// build is what the program knows about its own build.
type build struct{ version, commit string }

// with says which program runs with the rules of an engine.
func (b build) with(engine *classify.Engine) milter.Build {
	return milter.Build{Version: b.version, Revision: b.commit, Ruleset: engine.Version()}
}

func readBuild() build {
	b := build{version: strings.TrimSpace(versionFile), commit: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	dirty := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if dirty {
		b.commit += " (modified)"
	}
	return b
}
