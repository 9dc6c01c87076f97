#!/bin/sh
# Copies the licence texts of all that is linked into the program, from the
# modules that it is built from: licenses.sh FOLDER. Nothing is downloaded that
# the build does not need. Run at the top of the source; GO names the go command.
set -eu
go=${GO:-go}
to=$1
"$go" list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}} {{$.Dir}}{{end}}{{end}}' ./cmd/bounce-milter | sort -u |
while read -r module root dir; do
	# Code that a module has from others bears its licence in a folder below.
	while :; do
		for file in "$dir"/*; do
			case ${file##*/} in
			*.go | *.s) ;;
			LICEN[CS]E* | COPYING* | NOTICE* | PATENTS*)
				install -D -m 644 "$file" "$to/$module/${file#"$root"/}" ;;
			esac
		done
		if [ "$dir" = "$root" ]; then
			break
		fi
		dir=${dir%/*}
	done
	if [ ! -d "$to/$module" ]; then
		echo "licenses.sh: $module has no licence" >&2
		exit 1
	fi
done
# The standard library. Where a packaged Go leaves its text out, that of its
# sister modules is the same.
text=$("$go" env GOROOT)/LICENSE
if [ ! -e "$text" ]; then
	text=$("$go" list -m -f '{{.Dir}}' golang.org/x/sys)/LICENSE
fi
install -D -m 644 "$text" "$to/go/LICENSE"
