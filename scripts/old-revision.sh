#!/usr/bin/env bash
# Runs a service of the revision whose journals have format 1 beside this one: what it leaves is shipped here, and it leaves what is
# recorded here as it is. Its command is tried beside this one, too. Compiles that revision, which takes some minutes.
#
#   bash scripts/old-revision.sh
set -euo pipefail
cd "$(dirname "$0")/.."
revision=5ebdf25
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
AUDIT_OLD_PROGRAM=$(bash scripts/old-program.sh tests/old/program.rs "$revision" "$work")
target=${OLD_TARGET_DIR:-$work/target}
CARGO_TARGET_DIR=$target cargo build --quiet --release --locked --manifest-path "$work/old/Cargo.toml" \
    -p audit-runtime --features cli --bin audit-trail
AUDIT_OLD_COMMAND=$target/release/audit-trail
export AUDIT_OLD_PROGRAM AUDIT_OLD_COMMAND
cargo test --workspace --all-features --locked --test faults -- versions --nocapture
cargo test --workspace --all-features --locked --test migration -- older --nocapture
