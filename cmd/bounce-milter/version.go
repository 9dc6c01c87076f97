package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/bounce-milter/bounce-milter/classify"
)

// version is set when a release is built: -ldflags "-X main.version=1.2.3".
var version = ""

func runVersion(a *app, _ []string) error {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		return err
	}
	b := readBuild()
	fmt.Fprintf(a.out, "bounce-milter %s\ncommit %s\n%s %s/%s\nrules %s\n",
		b.version, b.commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, engine.Version())
	return nil
}

// build is what the program knows about its own build.
type build struct{ version, commit string }

func readBuild() build {
	b := build{version: version, commit: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.version == "" {
		b.version = info.Main.Version
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
	if b.version == "" || b.version == "(devel)" {
		b.version = "devel"
	}
	return b
}
