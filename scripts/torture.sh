#!/usr/bin/env bash
# Kills the recording process, the server and the network at random, under load, then checks that every call that returned
# has exactly one row. Ends with one line: calls N rows N lost 0 doubled 0 kills K restarts R cuts C.
#
#   bash scripts/torture.sh [minutes, 1 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p tests --bin torture
exec "${CARGO_TARGET_DIR:-target}/release/torture" "${1:-1}"
