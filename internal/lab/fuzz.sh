#!/bin/sh
# Runs every fuzz target of the module for a while: fuzz.sh TIME
# go test takes one target at a time, so the targets are looked up in the sources. If
# one fails, the others still run.
set -u
time=$1
found=0
failed=
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for file in $(find . -name '*_test.go' -not -path './.*' | sort); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		found=$((found + 1))
		echo "fuzz $(dirname "$file") $target $time"
		# Minimizing inputs that merely add coverage would take most of a
		# short run.
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 20x "$(dirname "$file")" >"$log" 2>&1 && { tail -n 2 "$log"; continue; }
		# A worker that is busy when time is up fails the run with only this
		# message; no input is to blame then.
		if grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log"; then
			grep '^fuzz: ' "$log" | tail -n 1
			echo "time was up within an input: no finding"
			continue
		fi
		cat "$log"
		failed="$failed $target"
	done
done
echo "$found fuzz targets${failed:+, failed:$failed}"
test "$found" -gt 0 && test -z "$failed"
