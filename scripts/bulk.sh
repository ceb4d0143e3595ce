#!/usr/bin/env bash
# Many events in a caller's transaction, beside a hand-written INSERT .. SELECT of the same rows, in turns, in a private cluster.
# It fails if they take more than 2.5 times as long.
#
#   bash scripts/bulk.sh [events, 10000 by default] [rounds, 9 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p tests --bin bulk
exec "${CARGO_TARGET_DIR:-target}/release/bulk" "${1:-10000}" "${2:-9}"
