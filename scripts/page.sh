#!/usr/bin/env bash
# How long the pages of `audit-trail serve` take over HTTP on a trail of many rows, how large they are, and what fifty viewers and a tail
# cost the ingest. It fills a trail in a private cluster, in a hundred thousand batches under checkpoints: a gigabyte a million rows.
#
#   bash scripts/page.sh [millions of rows, 1 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p audit-trail
cargo build --quiet --release --locked -p tests --bin pages
exec "${CARGO_TARGET_DIR:-target}/release/pages" "${1:-1}"
