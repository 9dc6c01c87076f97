#!/bin/sh
# Copies the licence texts of everything that is linked into the program, from the
# modules that it is built from: licenses.sh FOLDER. It downloads nothing that the
# build does not need. Run it at the top of the source; GO names the go command.
set -eu
go=${GO:-go}
to=$1
"$go" list -buildvcs=false -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}} {{$.Dir}}{{end}}{{end}}' ./cmd/bounce-milter | sort -u |
while read -r module root dir; do
	# Code that a module took from others has its licence in its own folder.
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
# The standard library. Some packages of Go leave its text out; that of the
# golang.org/x modules is the same.
text=$("$go" env GOROOT)/LICENSE
if [ ! -e "$text" ]; then
	text=$("$go" list -m -f '{{.Dir}}' golang.org/x/sys)/LICENSE
fi
install -D -m 644 "$text" "$to/go/LICENSE"
