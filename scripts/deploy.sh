#!/usr/bin/env bash
# Checks what deploy/ has for Prometheus and Grafana: the rules, their tests, and every query of the dashboard.
#
#   bash scripts/deploy.sh    exits with 2 and installs nothing if promtool or python3 is missing
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v promtool >/dev/null 2>&1 || missing+=("promtool (Debian: prometheus)")
command -v python3 >/dev/null 2>&1 || missing+=("python3")
if [ ${#missing[@]} -gt 0 ]; then
    printf 'deploy/ is not checked, for these are missing:' >&2
    printf ' %s' "${missing[@]}" >&2
    printf '\n' >&2
    exit 2
fi

promtool check rules deploy/prometheus/alerts.yml
promtool test rules deploy/prometheus/alerts_test.yml

# Each query as a recording rule, so that Prometheus itself parses it. Grafana fills in the intervals.
queries=$(mktemp --suffix .yml)
trap 'rm -f "$queries"' EXIT
python3 - "$queries" <<'PYTHON'
import json, sys
with open("deploy/grafana/dashboard.json") as file:
    dashboard = json.load(file)
queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
assert queries, "the dashboard has no query"
rules = [
    {"record": f"dashboard:query_{number}", "expr": query.replace("$__rate_interval", "5m").replace("$__range", "6h")}
    for number, query in enumerate(queries)
]
# JSON is YAML.
with open(sys.argv[1], "w") as file:
    json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
PYTHON
promtool check rules "$queries"
