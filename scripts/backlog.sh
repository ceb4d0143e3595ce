#!/usr/bin/env bash
# Measures how long new events wait for PostgreSQL while a backlog is stored, here and at an older revision, in turns. Compiles that
# revision, which takes some minutes. A million events take half a gigabyte of journal and one of tables.
#
#   bash scripts/backlog.sh [thousands of events, 5000] [rounds, 3] [revision, 5ebdf25]
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --quiet --release --locked -p tests --bin backlog --bin backlog-program
old=$(bash scripts/old-program.sh tests/backlog/program.rs "${3:-5ebdf25}" "$work")
new=${CARGO_TARGET_DIR:-target}/release
"$new/backlog" "$old" "$new/backlog-program" "${1:-5000}" "${2:-3}"
