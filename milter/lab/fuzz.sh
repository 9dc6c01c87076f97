#!/bin/sh
# Runs every fuzz target of the module for a while: fuzz.sh TIME
# go test takes one target at a time, so they are looked up in the sources. One
# that fails does not keep the others from running.
set -u
time=$1
found=0
failed=
for file in $(find . -name '*_test.go' -not -path './.*' | sort); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		found=$((found + 1))
		echo "fuzz $(dirname "$file") $target $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$(dirname "$file")" || failed="$failed $target"
	done
done
echo "$found fuzz targets${failed:+, failed:$failed}"
test "$found" -gt 0 && test -z "$failed"
