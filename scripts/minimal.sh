#!/usr/bin/env bash
# Checks the published crates with the oldest version of each direct dependency that Cargo.toml accepts. The choice of versions is an
# unstable option of Cargo, so RUSTC_BOOTSTRAP=1 lets a stable Cargo accept it; the code itself is compiled as always.
#
#   bash scripts/minimal.sh             checks
#   bash scripts/minimal.sh --resolve   chooses the versions only, and prints those of the direct dependencies
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/minimal

# A workspace of these crates alone, without what only tests and benchmarks depend on: users never resolve that.
cp -RL audit-macros audit-runtime audit-trail rust-toolchain.toml "$work"
sed -e 's/^members = .*/members = ["audit-macros", "audit-runtime", "audit-trail"]/' -e '/^exclude = /d' -e '/^default-members = /d' Cargo.toml >"$work/Cargo.toml"
for crate in audit-macros audit-runtime audit-trail; do
    awk '/^\[/ { skipped = /^\[.*dev-dependencies\]|^\[\[bench\]\]/ } !skipped' "$crate/Cargo.toml" >"$work/$crate/Cargo.toml"
done

cd "$work"
RUSTC_BOOTSTRAP=1 cargo generate-lockfile -Z direct-minimal-versions
cargo tree --workspace --all-features --edges normal,build --depth 1 --prefix none --format '{p}' | sed 's/ (.*//' | sort -u
if [ "${1:-}" != --resolve ]; then
    cargo check --workspace --all-features --locked
fi
