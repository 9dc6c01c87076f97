#!/bin/sh
# Says in words that Go is absent or too old: go-version.sh GO. Run it at the top of the
# source. Go from 1.21 on fetches the version that go.mod asks for by itself.
set -eu
go=$1
needs=$(sed -n 's/^go //p' go.mod)
if ! has=$("$go" env GOVERSION 2>/dev/null); then
	echo "building needs Go $needs, and \"$go\" is not on the PATH: install it, or run make GO=/path/to/go" >&2
	exit 1
fi
has=${has#go}
case $has in
1.[0-9] | 1.[0-9].* | 1.1[0-9] | 1.1[0-9].* | 1.20 | 1.20.*)
	echo "building needs Go $needs, and \"$go\" is Go $has: Debian 12's package is too old; that of bookworm-backports, or go.dev/dl, is not" >&2
	exit 1 ;;
esac
