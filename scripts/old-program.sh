#!/usr/bin/env bash
# Builds a program against an older revision of the library, and prints the path of the result. The program is one file that
# depends on audit-runtime, serde, tokio and uuid at most.
#
#   bash scripts/old-program.sh FILE REVISION DIRECTORY     everything it makes is under DIRECTORY; OLD_TARGET_DIR keeps the build
set -euo pipefail
cd "$(dirname "$0")/.."
file=$1 revision=$2 work=$3
mkdir -p "$work/program/src"
git archive --prefix=old/ "$revision" | tar -x -C "$work"
cp "$file" "$work/program/src/main.rs"
cp "$work/old/Cargo.lock" "$work/program/"
cat >"$work/program/Cargo.toml" <<TOML
[package]
name = "old-program"
version = "0.0.0"
edition = "2024"

[dependencies]
audit-runtime = { path = "$work/old/audit-runtime" }
serde = { version = "1", features = ["derive"] }
tokio = { version = "1", features = ["rt", "rt-multi-thread", "time"] }
uuid = { version = "1", features = ["serde", "v7"] }

[workspace]
TOML
export CARGO_TARGET_DIR=${OLD_TARGET_DIR:-$work/target}
cargo build --quiet --release --manifest-path "$work/program/Cargo.toml"
cp "$CARGO_TARGET_DIR/release/old-program" "$work/"
echo "$work/old-program"
