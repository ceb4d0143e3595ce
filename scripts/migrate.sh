#!/usr/bin/env bash
# How long INSERTs and events wait while a table of millions of rows is migrated from version 5 of the schema, in a private cluster.
#
#   bash scripts/migrate.sh [millions of rows, 1 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p tests --bin migrate
exec "${CARGO_TARGET_DIR:-target}/release/migrate" "${1:-1}"
