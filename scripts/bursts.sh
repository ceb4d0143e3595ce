#!/usr/bin/env bash
# How long a captured call takes in bursts of 1,000 to 200,000 calls, here and at an older revision, in turns. Compiles that revision,
# which takes some minutes.
#
#   bash scripts/bursts.sh [rounds, 9 by default] [revision, 5ebdf25 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --quiet --release --locked -p tests --bin bursts --bin burst-program
old=$(bash scripts/old-program.sh tests/bursts/program.rs "${2:-5ebdf25}" "$work")
new=${CARGO_TARGET_DIR:-target}/release
"$new/bursts" "$old" "$new/burst-program" "${1:-9}"
