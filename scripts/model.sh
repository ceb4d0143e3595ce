#!/usr/bin/env bash
# Checks the journal's claim / publish / read / retire protocol under loom: every interleaving with up to five preemptions
# (LOOM_MAX_PREEMPTIONS). Prints how many each model had.
set -euo pipefail
cd "$(dirname "$0")/.."
export LOOM_MAX_PREEMPTIONS=${LOOM_MAX_PREEMPTIONS:-5} LOOM_LOG=info NO_COLOR=1
RUSTFLAGS="--cfg audit_loom" CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/loom \
    cargo test --release --locked -p audit-runtime --lib -- model:: --nocapture --test-threads=1 |
    grep -E '^test |^ok|^FAILED|panicked|Completed' | sed 's/.*Completed/Completed/'
