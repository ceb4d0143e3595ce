#!/usr/bin/env bash
# Everything that has to hold before a change lands. Run it from anywhere in the checkout: bash scripts/test.sh
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s (after %d s)\n' "$*" "$SECONDS"; }

have_server() {
    command -v initdb >/dev/null 2>&1 || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

missing=()
have_server || missing+=(postgresql)
command -v pgbouncer >/dev/null 2>&1 || [ -x /usr/sbin/pgbouncer ] || missing+=(pgbouncer)
command -v strace >/dev/null 2>&1 || missing+=(strace)
command -v valgrind >/dev/null 2>&1 || missing+=(valgrind)
# For the existing system's side of the tables: the tests make a virtual environment with asyncpg.
python3 -c 'import ensurepip' >/dev/null 2>&1 || missing+=(python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "The tests need a PostgreSQL server (initdb and postgres, on the PATH or under /usr/lib/postgresql), PgBouncer, strace, valgrind and Python with venv." >&2
        echo "Missing here, by the names of Debian's packages: ${missing[*]}. Install them." >&2
        exit 2
    fi
    step "missing, installed from Debian's packages: ${missing[*]}"
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

step "format"
cargo fmt --all --check

step "clippy"
cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --locked

step "tests"
cargo test --workspace --all-features --locked

step "instructions of captured calls"
bash scripts/bench.sh --instructions

step "the first command of the README"
env -u DATABASE_URL cargo run --locked -p examples --bin order-flow

step "all passed"
