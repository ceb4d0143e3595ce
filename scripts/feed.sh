#!/usr/bin/env bash
# Kills everything that a feed stands on at random, under load: the recorder, the feeds (to a file and to an HTTP endpoint), the
# endpoint, the server and the network. Then it checks that both targets have every stored event. Ends with one line:
# events N, file: lost 0 doubled D .., http: lost 0 doubled D ..; killed: ..
#
#   bash scripts/feed.sh [minutes, 1 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p tests --bin feeding
cargo build --quiet --release --locked -p audit-trail
exec "${CARGO_TARGET_DIR:-target}/release/feeding" "${1:-1}"
