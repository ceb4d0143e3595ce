#!/usr/bin/env bash
# Kills the recording process, the server and the network at random, under load, then checks that every call that returned
# has exactly one row. Ends with one line: calls N rows N lost 0 doubled 0 kills K restarts R cuts C.
#
#   bash scripts/torture.sh [minutes, 1 by default] [--relay | --broker [nodes: 1 or 3]]
#
# With --relay the recorders are behind a relay, which is killed too, and behind a double of it that loses, repeats, delays,
# reorders and alters messages, and lies in answers. With --broker they are behind NATS JetStream and two relays: brokers and
# relays are killed, streams are lost, and messages come again in another order.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p tests --bin torture
cargo build --quiet --release --locked -p audit-trail
exec "${CARGO_TARGET_DIR:-target}/release/torture" "${1:-1}" ${2:+"$2"} ${3:+"$3"}
