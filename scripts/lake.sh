#!/usr/bin/env bash
# A month of events, synced to an S3 server that the test runs, pruned, verified from the lake, proven from Parquet alone, and damaged:
# MB and seconds a million rows, against the table and lines of JSON, and the rows a second of a verification.
#
#   bash scripts/lake.sh [millions of rows, 5 by default]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p audit-trail
LAKE_MILLIONS=${1:-5} exec cargo test --release --locked -p tests --test lake -- --ignored --exact --nocapture month::a_month_of_millions
