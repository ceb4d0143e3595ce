#!/usr/bin/env bash
# Compiles the library and the command for macOS and Windows, and counts errors and warnings. Nothing is linked or run: the standard
# library of each target is compiled, too, from its source. It needs cargo and a rustc that has the source of its library.
#
#   bash scripts/portability.sh              names the packages that it lacks here, and then exits with 2
#   bash scripts/portability.sh --install    installs them first, from Debian's packages, by sudo if need be; so does CI=true
#   TARGETS="x86_64-pc-windows-gnu" ..       chooses the targets
set -euo pipefail
cd "$(dirname "$0")/.."

install=no
[ "${CI:-}" != true ] || install=yes
case "${1:-}" in
    '') ;;
    --install) install=yes ;;
    *) sed -n '2,/^set /s/^# \{0,1\}//p' scripts/portability.sh >&2; exit 2 ;;
esac

targets=${TARGETS:-aarch64-apple-darwin x86_64-pc-windows-gnu}
target_dir=${CARGO_TARGET_DIR:-target}
work=$target_dir/portability

# A rustc with the source of its library: one of rustup with the component rust-src, or Debian's.
compiler() {
    local candidate
    for candidate in rustc /usr/bin/rustc; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            [ -e "$("$candidate" --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing; install Rust from https://rustup.rs" >&2
    exit 2
fi

# By the names of Debian's packages.
missing=()
compiler >/dev/null || missing+=(rustc-web rust-web-src)
[[ $targets != *windows-gnu* ]] || command -v x86_64-w64-mingw32-dlltool >/dev/null 2>&1 || missing+=(binutils-mingw-w64-x86-64)
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$install" = yes ] && command -v apt-get >/dev/null 2>&1; then
        as_root=()
        [ "$(id -u)" -eq 0 ] || as_root=(sudo)
        "${as_root[@]}" apt-get update -q
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
    else
        echo "Missing here, by the names of Debian's packages: ${missing[*]}" >&2
        echo "hint: bash scripts/portability.sh --install installs them; rustup component add rust-src supplies the source, too" >&2
        exit 2
    fi
fi
RUSTC=$(compiler)
export RUSTC RUSTC_BOOTSTRAP=1
echo "$("$RUSTC" --version), $RUSTC"

# A crate that depends on the library, with the same versions of everything.
mkdir -p "$work/src"
cat >"$work/Cargo.toml" <<TOML
[package]
name = "portable"
version = "0.0.0"
edition = "2024"
publish = false

[features]
default-of-the-library = ["audit-runtime/default"]

[dependencies]
audit-runtime = { path = "$PWD/audit-runtime", default-features = false }

[workspace]
TOML
cat >"$work/src/lib.rs" <<'RUST'
//! Uses the library as a service does.

use audit_runtime::{Audit, StartError, audited};
use std::time::Duration;

/// Starts the trail.
pub fn start() -> Result<Audit, StartError> {
    Audit::builder().memory().on_exit(Duration::from_secs(1)).start()
}

/// Records a call.
#[audited(event = "order.submitted", id = none)]
pub fn submit(ticker: &str, quantity: u32) -> Result<u32, std::io::Error> {
    Ok(quantity + u32::from(ticker.is_empty()))
}
RUST
cp Cargo.lock "$work/Cargo.lock"

# Counts what one command of cargo reports: errors, and warnings, each with its place.
errors=0 warnings=0 incomplete=""
check() {
    local target=$1 name=$2
    shift 2
    local log=$work/$target.$name.log
    # Without a terminal and with the short form, each report is one line that begins with file, line and column.
    if ! cargo check --message-format short -Zbuild-std --target "$target" --target-dir "$work/target" "$@" >"$log" 2>&1; then
        grep -qE '^[^ ]+:[0-9]+:[0-9]+: error' "$log" || { incomplete="$incomplete $name"; tail -n 20 "$log" >&2; }
    fi
    grep -E '^[^ ]+:[0-9]+:[0-9]+: (error|warning)' "$log" || true
    errors=$((errors + $(grep -cE '^[^ ]+:[0-9]+:[0-9]+: error' "$log" || true)))
    warnings=$((warnings + $(grep -cE '^[^ ]+:[0-9]+:[0-9]+: warning' "$log" || true)))
}

failed=no
for target in $targets; do
    errors=0 warnings=0 incomplete="" checked="library, command"
    check "$target" library --manifest-path "$work/Cargo.toml"
    check "$target" command -p audit-trail --no-default-features --locked
    # By default the library has TLS by ring, whose C a compiler for the target has to compile.
    if [[ $target == *windows-gnu ]] && command -v x86_64-w64-mingw32-gcc >/dev/null 2>&1; then
        check "$target" default --manifest-path "$work/Cargo.toml" --features default-of-the-library
        checked="$checked, default features"
    else
        checked="$checked; default features left out, for ring needs a C compiler for the target"
    fi
    summary="$errors errors, $warnings warnings"
    [ -z "$incomplete" ] || summary="$summary, and cargo failed:$incomplete"
    echo "$target: $summary ($checked)"
    [ "$summary" = "0 errors, 0 warnings" ] || failed=yes
done
[ "$failed" = no ]
