#!/usr/bin/env bash
# How many instructions captured calls take, counted by callgrind, against those in scripts/instructions.txt: more than five percent
# more is an error. Two runs that differ in the number of calls differ in the instructions of those calls alone; what the clocks take
# under valgrind, which reads them by system calls, is not counted. How much stack a synchronous call takes, against what a plain one
# takes: more than the manual promises is an error, too (tests/instructions/stack.rs).
#
#   bash scripts/instructions.sh            compares
#   bash scripts/instructions.sh --accept   writes what is counted now; the stack is compared all the same
set -euo pipefail
cd "$(dirname "$0")/.."
baseline=scripts/instructions.txt
command -v valgrind >/dev/null || { echo "valgrind is not installed; scripts/test.sh --install installs it" >&2; exit 2; }
cargo build --quiet --profile instructions --locked -p tests --bin instructions
program=${CARGO_TARGET_DIR:-target}/instructions/instructions
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

counted() { # kind of call, calls
    valgrind --tool=callgrind --collect-atstart=no --toggle-collect='instructions::*_call' \
        --callgrind-out-file="$directory/$1.$2" "$program" "$1" "$2" >"$directory/log" 2>&1 || { cat "$directory/log" >&2; exit 1; }
    callgrind_annotate --inclusive=yes --threshold=100 --auto=no "$directory/$1.$2" | python3 -c '
import re, sys
total = clocks = 0
for line in sys.stdin:
    found = re.match(r"\s*([\d,]+) \(", line)
    count = int(found.group(1).replace(",", "")) if found else 0
    if "PROGRAM TOTALS" in line:
        total = count
    # Of a function that is inlined in places there are several lines; the largest has it all.
    elif "Counter::read" in line:
        clocks = max(clocks, count)
print(total - clocks)'
}

failed=0
"$program" stack || failed=1
while read -r kind; do
    calls=$(( ($(counted "$kind" 3000) - $(counted "$kind" 1000)) / 2000 ))
    known=$(awk -v kind="$kind" '$1 == kind { print $2 }' "$baseline" 2>/dev/null || true)
    printf '%s %s\n' "$kind" "$calls" >>"$directory/counted"
    printf '%-12s %6s instructions a call, %s known\n' "$kind" "$calls" "${known:-none}"
    [ "${1:-}" != --accept ] || continue
    if [ -n "$known" ] && [ $(( calls * 100 )) -gt $(( known * 105 )) ]; then
        echo "$kind: more than five percent more than $baseline has; mend it, or accept it with scripts/instructions.sh --accept" >&2
        failed=1
    elif [ -z "$known" ]; then
        echo "$kind: not in $baseline; accept it with scripts/instructions.sh --accept" >&2
        failed=1
    fi
done < <("$program" kinds)
if [ "${1:-}" = --accept ]; then
    cp "$directory/counted" "$baseline"
fi
exit "$failed"
