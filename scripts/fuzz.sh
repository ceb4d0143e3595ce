#!/usr/bin/env bash
# Fuzzes each target of fuzz/ from its corpus on, which stays as it is. It needs cargo-fuzz: cargo install --locked cargo-fuzz
#
#   bash scripts/fuzz.sh [seconds for each target, 60 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
# The instrumentation is unstable: this lets a stable Rust accept it.
export RUSTC_BOOTSTRAP=1
for target in recovery payload copy; do
    mkdir "$found/$target"
    cargo fuzz run "$target" "$found/$target" "fuzz/corpus/$target" -- -max_total_time="$seconds" -max_len=512 -print_final_stats=1
done
