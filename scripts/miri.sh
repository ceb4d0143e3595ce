#!/usr/bin/env bash
# The journal's protocol under Miri, with a schedule of threads for each seed. It needs a nightly Rust with Miri:
# rustup toolchain install nightly --component miri,rust-src
#
#   bash scripts/miri.sh [seeds, 64 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
export MIRIFLAGS="-Zmiri-many-seeds=..${1:-64} -Zmiri-preemption-rate=0.5 ${MIRIFLAGS:-}"
cargo +nightly miri test --locked -p audit-runtime --lib -- journal::segment
