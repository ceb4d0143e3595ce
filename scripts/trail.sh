#!/usr/bin/env bash
# How long a trail takes to read in a table of many millions of rows: it fills one in a private cluster, a gigabyte and a half a million.
#
#   bash scripts/trail.sh [millions of rows, 10 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p tests --bin trail
exec "${CARGO_TARGET_DIR:-target}/release/trail" "${1:-10}"
