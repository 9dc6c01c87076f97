package main

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/bounce-milter/bounce-milter/classify"
)

// version is set when a release is built: -ldflags "-X main.version=1.2.3".
var version = ""

var versionCommand = command{
	name: "version", does: "print the version of program and rules",
	run: func(a *app, fs *flag.FlagSet, args []string) error {
		if args, err := parse(fs, args); err != nil {
			return err
		} else if len(args) > 0 {
			return usagef("version: takes no argument: %s", args[0])
		}
		engine, err := classify.New(classify.Options{})
		if err != nil {
			return err
		}
		b := readBuild()
		fmt.Fprintf(a.out, "bounce-milter %s\ncommit %s\n%s %s/%s\nrules %s\n",
			b.version, b.commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, engine.Version())
		return nil
	},
}

// build is what the program knows of its own making.
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
