#!/usr/bin/env bash
# Measures the cost of a call while PostgreSQL is alive and while it is dead, in turns.
#
#   bash scripts/latency.sh [rounds, 5 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p tests --bin latency
exec "${CARGO_TARGET_DIR:-target}/release/latency" "${1:-5}"
