#!/usr/bin/env bash
# Measures the cost of sealing to the writer, and how fast a trail is verified, in a private cluster.
#
#   bash scripts/seal.sh [millions of rows to verify, 5 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p audit-trail
cargo build --quiet --release --locked -p tests --bin seal
exec "${CARGO_TARGET_DIR:-target}/release/seal" "${1:-5}"
