#!/usr/bin/env bash
# Checks two models.
#
# The first is of a journal, a lossy pipe and two relays (tests/model): every state that four records lead to, with two
# kills and a power failure, and those of three records with a crash of the server as well.
#
# The second is the journal's claim / publish / read / retire protocol under loom: every interleaving with up to five preemptions
# (LOOM_MAX_PREEMPTIONS). Prints how many each model had.
set -euo pipefail
cd "$(dirname "$0")/.."
for bounds in '4 2 1 0' '3 2 1 1'; do
    # shellcheck disable=SC2086 # four numbers
    cargo run --quiet --release --locked -p tests-model --bin model -- $bounds
done
export LOOM_MAX_PREEMPTIONS=${LOOM_MAX_PREEMPTIONS:-5} LOOM_LOG=info NO_COLOR=1
RUSTFLAGS="--cfg audit_loom" CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/loom \
    cargo test --release --locked -p audit-runtime --lib -- model:: --nocapture --test-threads=1 |
    grep -E '^test |^ok|^FAILED|panicked|Completed' | sed 's/.*Completed/Completed/'
