#!/usr/bin/env bash
# Everything that has to hold before a change lands, from anywhere in the checkout. It needs Rust, by rustup or otherwise.
#
#   bash scripts/test.sh              names the packages that the tests lack here, and then exits with 2
#   bash scripts/test.sh --install    installs them first, from Debian's packages, by sudo if need be; so does CI=true
set -euo pipefail
cd "$(dirname "$0")/.."

install=no
[ "${CI:-}" != true ] || install=yes
case "${1:-}" in
    '') ;;
    --install) install=yes ;;
    *) sed -n '2,/^set /s/^# \{0,1\}//p' scripts/test.sh >&2; exit 2 ;;
esac

step() { printf '\n== %s (after %d s)\n' "$*" "$SECONDS"; }
installed() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }
have_server() { installed initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

for program in cargo rustc cargo-clippy cargo-fmt; do
    if ! command -v "$program" >/dev/null 2>&1; then
        echo "$program is missing; install Rust from https://rustup.rs, with the components clippy and rustfmt" >&2
        exit 2
    fi
done

# By the names of Debian's packages.
missing=()
{ installed cc && [ -e /usr/include/stdio.h ]; } || missing+=(gcc libc6-dev)
have_server || missing+=(postgresql)
installed pgbouncer || missing+=(pgbouncer)
installed strace || missing+=(strace)
installed valgrind || missing+=(valgrind)
# For the existing system's side of the tables: the tests make a virtual environment with asyncpg.
python3 -c 'import ensurepip' >/dev/null 2>&1 || missing+=(python3-venv)
# Without these, tests of a full btrfs and of the page in a browser are left out, and the others run.
optional=()
installed mkfs.btrfs || optional+=(btrfs-progs)
# The same for the alerts and the dashboard of deploy/.
installed promtool || optional+=(prometheus)
installed chromium || optional+=(chromium)
installed chromedriver || optional+=(chromium-driver)
# The same for feeds to syslog.
compgen -G '/usr/lib/*/rsyslog/lmnsd_gtls.so' >/dev/null || optional+=(rsyslog rsyslog-gnutls)

wanted=("${missing[@]}" "${optional[@]}")
if [ ${#wanted[@]} -gt 0 ]; then
    if [ "$install" = yes ] && command -v apt-get >/dev/null 2>&1; then
        step "missing, installed from Debian's packages: ${wanted[*]}"
        as_root=()
        [ "$(id -u)" -eq 0 ] || as_root=(sudo)
        "${as_root[@]}" apt-get update -q
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${wanted[@]}"
    elif [ ${#missing[@]} -gt 0 ]; then
        echo "The tests need a C compiler, a PostgreSQL server (initdb and postgres, on the PATH or under /usr/lib/postgresql), PgBouncer," >&2
        echo "strace, valgrind and Python with venv. Missing here, by the names of Debian's packages: ${wanted[*]}" >&2
        if command -v apt-get >/dev/null 2>&1; then
            echo "hint: bash scripts/test.sh --install installs them" >&2
        fi
        exit 2
    else
        step "missing, so that tests of a full btrfs or of the page in a browser are left out: ${optional[*]}"
    fi
fi

# A machine that is set up for this alone builds everything once: what only helps the next build, or a debugger, is left out.
if [ "$install" = yes ]; then
    export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
fi

[ -n "${AUDIT_AXE:-}" ] || step "without AUDIT_AXE, the file axe.min.js of npm's axe-core, its test of the page is left out"

step "format"
cargo fmt --all --check

step "clippy"
cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --locked

step "the examples, as README's first command compiles them"
cargo check --package examples --bins --locked

step "tests"
# Many of them wait for a server, a process or a limit of time, so that more than one a processor runs at once.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) + 1))}
cargo test --workspace --all-features --locked

step "instructions and stack of captured calls"
bash scripts/bench.sh --instructions

step "the first command of the README"
env -u DATABASE_URL cargo run --locked -p examples --bin order-flow

step "all passed"
