#!/usr/bin/env bash
# How fast a table of many millions of rows takes in more, and how long its trails take to read: it fills one in a private cluster, a
# gigabyte and a half a million.
#
#   bash scripts/trail.sh [millions of rows .., 10 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p tests --bin trail
exec "${CARGO_TARGET_DIR:-target}/release/trail" "$@"
