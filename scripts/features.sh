#!/usr/bin/env bash
# Checks audit-runtime with no feature, each one, each two of them, the default ones and all, and a library that depends on none:
# every warning is an error.
#
#   bash scripts/features.sh [how many features together, 1 or 2; 2 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
together=${1:-2}
mapfile -t features < <(cargo metadata --no-deps --format-version 1 --locked | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] == "audit-runtime":
        print("\n".join(sorted(set(package["features"]) - {"default"})))')

check() {
    printf '== cargo clippy -p audit-runtime %s\n' "$*"
    cargo clippy --quiet --locked -p audit-runtime --lib "$@" -- -D warnings
}

check --no-default-features
printf '== cargo clippy -p audited-library\n'
cargo clippy --quiet --locked -p audited-library -- -D warnings
for ((i = 0; i < ${#features[@]}; i++)); do
    check --no-default-features --features "${features[i]}"
    for ((j = i + 1; j < ${#features[@]} && together > 1; j++)); do
        check --no-default-features --features "${features[i]},${features[j]}"
    done
done
check
check --all-features
