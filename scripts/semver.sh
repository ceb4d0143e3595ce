#!/usr/bin/env bash
# Compares the public items of audit-runtime with those of the last release, the newest tag `v*` before this revision. A break without
# a new version is an error. It needs cargo-semver-checks, which does not check procedural macros.
set -euo pipefail
cd "$(dirname "$0")/.."
released=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || true)
if [ -z "$released" ]; then
    echo "no release to compare with: this revision has no tag v* behind it"
    exit 0
fi
cargo semver-checks --package audit-runtime --all-features --baseline-rev "$released"
