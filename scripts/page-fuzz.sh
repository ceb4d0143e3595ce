#!/usr/bin/env bash
# Asks the page what no person asks: 100,000 paths, queries and cursors, and what schemathesis makes of the served OpenAPI document. It
# needs python3 with venv, and installs schemathesis into a directory that it removes.
#
#   bash scripts/page-fuzz.sh [requests, 100,000 by default] [examples of each operation, 300 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
python3 -m venv "$made/venv"
"$made/venv/bin/pip" install --quiet 'schemathesis==4.32.5'
export AUDIT_SCHEMATHESIS=$made/venv/bin/schemathesis AUDIT_PAGE_REQUESTS=${1:-100000} AUDIT_SCHEMATHESIS_EXAMPLES=${2:-300}
cargo test --workspace --all-features --locked --test page -- --nocapture fuzz::
