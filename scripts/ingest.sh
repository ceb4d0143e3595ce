#!/usr/bin/env bash
# Measures the rows a second from recorded to committed into tables of many rows, here and at an older revision, in turns, each with its
# own tables and indexes in a private cluster; with distinct order ids, and with one. A million rows take a gigabyte and a half in all.
#
#   bash scripts/ingest.sh [rounds, 5] [millions of rows .., 1] (the revision 5ebdf25 is what it compares with)
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --quiet --release --locked -p tests --bin ingest --bin ingest-program
old=$(bash scripts/old-program.sh tests/ingest/program.rs 5ebdf25 "$work")
new=${CARGO_TARGET_DIR:-target}/release
rounds=${1:-5}
shift || true
[ $# -gt 0 ] || set -- 1
"$new/ingest" "$old" "$new/ingest-program" "$rounds" "$@"
