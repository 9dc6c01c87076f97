#!/bin/sh
# Runs every fuzz target of the module for a while, one on each processor: fuzz.sh TIME
# go test takes one target at a time, so the targets are looked up in the sources. If
# one fails, the others still run.
set -u
time=$1

if [ $# -eq 3 ]; then # one target: fuzz.sh TIME FOLDER TARGET
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	# Minimizing inputs that merely add coverage would take most of a short run.
	if go test -run '^$' -fuzz "^$3\$" -fuzztime "$time" -fuzzminimizetime 20x -parallel 1 "$2" >"$log" 2>&1; then
		said=$(grep '^fuzz: elapsed' "$log" | tail -n 1)
	# A worker that is busy when time is up fails the run with only this message; no
	# input is to blame then.
	elif grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input' "$log"; then
		said="$(grep '^fuzz: elapsed' "$log" | tail -n 1); time was up within an input: no finding"
	else
		echo "FAIL $2 $3"
		cat "$log"
		exit 1
	fi
	echo "$2 $3: $said"
	exit 0
fi

targets=$(find . -name '*_test.go' -not -path './.*' | sort | while read -r file; do
	sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(.*|$(dirname "$file") \1|p" "$file"
done)
test -n "$targets" || { echo "there are no fuzz targets here"; exit 1; }
echo "$(echo "$targets" | wc -l) fuzz targets, $time each"
echo "$targets" | xargs -P "$(nproc)" -L 1 "$0" "$time"
