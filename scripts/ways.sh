#!/usr/bin/env bash
# Measures the load of many small services on one PostgreSQL by each way to it: directly, by PgBouncer, by a relay, by NATS and a
# relay. Prints a table: transactions a second, connections, the processor's time a row, and how long an awaited event takes. Each
# service is a process. It needs what scripts/test.sh --install installs.
#
#   bash scripts/ways.sh [seconds, 20] [numbers of services, 10 50 200]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p tests --bin ways --bin way-program
cargo build --quiet --release --locked -p audit-trail
seconds=${1:-20}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- 10 50 200
exec "${CARGO_TARGET_DIR:-target}/release/ways" "$seconds" "$@"
