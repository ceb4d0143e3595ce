#!/usr/bin/env bash
# A year of events in PostgreSQL, then its newest month there and the rest in a lake: bytes a row, the trail of an account over both, the
# rates of verify, and what the ingest gains by the smaller table. A million rows take a gigabyte and a half in all.
#
#   bash scripts/scale.sh [millions of rows, 2 by default] [rounds of the ingest, 3 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p audit-trail
cargo build --quiet --release --locked -p tests --bin scale --bin ingest-program
exec "${CARGO_TARGET_DIR:-target}/release/scale" "${1:-2}" "${2:-3}"
