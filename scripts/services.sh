#!/usr/bin/env bash
# Measures the load of many small services on one server, here and at an older revision, in turns: transactions a second,
# processor, lag, and the wait of callers that await an event. Compiles that revision, which takes some minutes.
#
#   bash scripts/services.sh [services, 100] [seconds, 20] [rounds, 2] [revision, 5ebdf25]
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --quiet --release --locked -p tests --bin services --bin service-program
old=$(bash scripts/old-program.sh tests/services/program.rs "${4:-5ebdf25}" "$work")
new=${CARGO_TARGET_DIR:-target}/release
"$new/services" "$old" "$new/service-program" "${1:-100}" "${2:-20}" "${3:-2}"
