#!/usr/bin/env bash
# Measures the cost of annotations for the compiler: a crate of 1,000 functions with #[audited], with
# #[tracing::instrument(ret, err)] and with neither, checked in turns; then the size of its stripped release binary.
# In two further crates the functions are methods of one type, with #[audited] on each of them (methods) or on their impl
# block (block). With a revision, a last crate uses #[audited] of that revision.
#
#   bash scripts/compile-bench.sh [rounds, 5 by default] [revision]
#
# FUNCTIONS=100 has another number of functions, and VARIANTS="methods block" compares these crates alone.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
rounds=${1:-5}
revision=${2:-}
functions=${FUNCTIONS:-1000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR="$work/target"

# Half of the functions are async, half are fallible; they take an id, a text and one of 40 structs. With an attribute of
# a block, or the word `none` in its place, they are methods.
generate() { # name, attribute of fallible functions, attribute of the others, where the library is, attribute of a block
    local name=$1 fallible=$2 infallible=$3 root=${4:-$root} block=${5:-} s
    local receiver='' object=''
    [ -z "$block" ] || receiver='&self, ' object='Orders.'
    mkdir -p "$work/$name/src"
    cp "$root/Cargo.lock" "$work/$name/Cargo.lock"
    cat >"$work/$name/Cargo.toml" <<TOML
[package]
name = "bench-$name"
version = "0.0.0"
edition = "2024"

[dependencies]
audit-runtime = { path = "$root/audit-runtime" }
pollster = "0.4"
serde = { version = "1", features = ["derive"] }
thiserror = "2"
tracing = "0.1"
uuid = { version = "1", features = ["serde"] }

[profile.release]
strip = true

[workspace]
TOML
    {
        echo 'use uuid::Uuid;'
        echo '#[derive(Debug, thiserror::Error)] #[error("refused: {0}")] pub struct Refused(u32);'
        for ((s = 0; s < 40; s++)); do
            echo "#[derive(Debug, Clone, serde::Serialize)] pub struct S$s { pub ticker: String, pub quantity: f64, pub count: u$((s % 2 ? 32 : 64)), pub limit: Option<f64> }"
        done
        [ -z "$block" ] || echo "pub struct Orders; ${block#none} impl Orders {"
        for ((f = 0; f < functions; f++)); do
            s=$((f % 40))
            local async='' attribute=$infallible returns="S$s" result='order.clone()'
            ((f % 2)) && async='async '
            if ((f % 4 < 2)); then
                attribute=$fallible returns="Result<S$s, Refused>"
                result="if ticker.is_empty() { return Err(Refused($f)); } Ok(order.clone())"
            fi
            echo "$attribute pub ${async}fn f$f(${receiver}order_id: Uuid, ticker: &str, order: &S$s) -> $returns { let _ = (order_id, ticker); $result }"
        done
        [ -z "$block" ] || echo '}'
        echo 'fn main() { let order_id = Uuid::nil(); let ticker = std::env::args().next().unwrap_or_default();'
        for ((s = 0; s < 40; s++)); do
            echo "let s$s = S$s { ticker: ticker.clone(), quantity: 1.0, count: 1, limit: None };"
        done
        for ((f = 0; f < functions; f++)); do
            local call="${object}f$f(order_id, &ticker, &s$((f % 40)))"
            ((f % 2)) && call="pollster::block_on($call)"
            echo "std::hint::black_box($call)$( ((f % 4 < 2)) && echo .ok );" | sed 's/\.ok;/.ok();/'
        done
        echo '}'
    } >"$work/$name/src/main.rs"
}

generate plain '' ''
generate tracing '#[tracing::instrument(ret, err)]' '#[tracing::instrument(ret)]'
captured='event = "order.submitted"'
generate audited "#[audit_runtime::audited($captured, err = \"order.rejected\")]" "#[audit_runtime::audited($captured)]"
audited='#[audit_runtime::audited(event = "order.submitted")]'
generate methods "$audited" "$audited" '' none
generate block '' '' '' '#[audit_runtime::audited(entity = "order")]'

read -ra variants <<<"${VARIANTS:-plain tracing audited methods block}"
if [ -n "$revision" ]; then
    git archive --prefix=old/ "$revision" | tar -x -C "$work"
    generate before "#[audit_runtime::audited($captured, err = \"order.rejected\")]" "#[audit_runtime::audited($captured)]" "$work/old"
    variants+=(before)
fi
for variant in "${variants[@]}"; do
    cargo check --quiet --manifest-path "$work/$variant/Cargo.toml"
done
for ((round = 1; round <= rounds; round++)); do
    for variant in "${variants[@]}"; do
        touch "$work/$variant/src/main.rs"
        begin=$(date +%s%N)
        CARGO_INCREMENTAL=0 cargo check --quiet --manifest-path "$work/$variant/Cargo.toml"
        echo $((($(date +%s%N) - begin) / 1000000)) >>"$work/$variant.ms"
    done
done
for variant in "${variants[@]}"; do
    cargo build --release --quiet --manifest-path "$work/$variant/Cargo.toml"
done
printf '%-10s %14s %14s %18s\n' 'functions' 'check, ms' 'shortest, ms' 'binary, bytes'
for variant in "${variants[@]}"; do
    median=$(sort -n "$work/$variant.ms" | sed -n "$(((rounds + 1) / 2))p")
    shortest=$(sort -n "$work/$variant.ms" | head -1)
    printf '%-10s %14s %14s %18s\n' "$variant" "$median" "$shortest" "$(stat -c %s "$work/target/release/bench-$variant")"
done
