#!/usr/bin/env bash
# How many journals of dead processes a living one ships a second, beside events of its own, each waited for.
#
#   bash scripts/orphans.sh [journals, 1000 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p tests --bin orphans
exec "${CARGO_TARGET_DIR:-target}/release/orphans" "${1:-1000}"
