#!/usr/bin/env bash
# The journal's tests under AddressSanitizer, whose runtime comes with the toolchain: all of the crate's unsafe code.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/sanitize
target=$(rustc -vV | sed -n 's/^host: //p')
cargo test --locked --target "$target" -p audit-runtime --lib -- journal:: fuzz::
