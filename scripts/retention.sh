#!/usr/bin/env bash
# How long INSERTs wait while months are pruned, and while rows are moved out of the default partition, in a private cluster.
#
#   bash scripts/retention.sh [millions of rows, 2 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p tests --bin retention
exec "${CARGO_TARGET_DIR:-target}/release/retention" "${1:-2}"
