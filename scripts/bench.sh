#!/usr/bin/env bash
# All benchmarks, and docs/benchmarks.md with its charts from what they measured. On a machine that does nothing else; it takes about
# twenty minutes. It needs what scripts/test.sh --install installs (a PostgreSQL server, Python with venv).
#
#   bash scripts/bench.sh                   all of it
#   bash scripts/bench.sh --instructions    counts the instructions of captured calls only, and compares them with those known; so
#                                           with their stack
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --instructions ]; then
    shift
    exec bash scripts/instructions.sh "$@"
fi
target=${CARGO_TARGET_DIR:-target}
rm -rf "$target/criterion" "$target/bench"
for benchmark in capture latency journal secrets trail verify writer; do
    cargo bench --quiet --locked -p audit-runtime --bench "$benchmark"
done
machine=$(mktemp)
trap 'rm -f "$machine"' EXIT
{
    printf 'processor    %s, %s cores\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)"
    printf 'memory       %s GiB\n' "$(awk '/MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)"
    printf 'kernel       %s, %s\n' "$(uname -s) $(uname -r | cut -d- -f1)" "$(stat -f -c 'files on %T' "${TMPDIR:-/tmp}")"
    printf 'PostgreSQL   %s, shared_buffers 1 GB, max_wal_size 8 GB, else its defaults\n' "$({ postgres --version 2>/dev/null || /usr/lib/postgresql/*/bin/postgres --version; } | head -n 1 | awk '{ print $3 }')"
    printf 'Rust         %s, profile bench: that of a release\n' "$(rustc --version | awk '{ print $2 }')"
    printf 'measured     %s, revision %s\n' "$(date -u +%F)" "$(git describe --always --dirty 2>/dev/null || echo unknown)"
} >"$machine"
cargo run --quiet --release --locked -p tests --bin report -- "$target" "$machine"
