#!/usr/bin/env bash
# How many calls a second that are on disk before they run, by how many run at once.
#
#   bash scripts/required.sh [seconds for each line, 5 by default] [directory of the journal, the temporary one by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p tests --bin required
exec "${CARGO_TARGET_DIR:-target}/release/required" "${@:-5}"
