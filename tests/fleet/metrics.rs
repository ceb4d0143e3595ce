//! Metrics, as a real exporter shows them, and what `deploy/` makes of them.

use audit_runtime::{Event, audited};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tests::{Database, eventually};

#[audited(event = "account.viewed", id = none)]
fn view() {}

/// The names of metrics that begin a line's rest behind one of these words.
fn names(text: &str, beginning: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(beginning));
    lines
        .filter_map(|line| line.split(' ').next())
        .filter(|name| name.starts_with("audit_"))
        .map(String::from)
        .collect()
}

/// The names of metrics in a text of any kind.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("audit_")).map(String::from).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

#[tokio::test]
async fn each_metric_has_a_help_text_and_deploy_names_no_other() {
    // Before the trail starts.
    let exporter = PrometheusBuilder::new().install_recorder().unwrap();
    let database = Database::new().await;
    let policy = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(policy.path(), "[[rule]]\nname = 'views'\nevent = 'account.viewed'\nlevel = 'none'").unwrap();
    let audit = database.audit().service("measured").policy(policy.path()).start().unwrap();
    audit.scope(async { view() }).await;
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    let text = || exporter.render();
    let has = |name: &str, label: &str, value: &str| {
        let text = text();
        let mut lines = text.lines().filter(|line| line.starts_with(name) && line.contains("service=\"measured\""));
        lines.any(|line| line.contains(label) && line.ends_with(value))
    };
    // The report of a second, and a batch: of this event, and of the policy that is in force.
    let is_reported =
        || has("audit_events_left_out_total{", "rule=\"views\"", " 1") && has("audit_events_stored_total{", "", " 2");
    eventually("it is reported", async || is_reported()).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();

    let text = text();
    let (described, typed) = (names(&text, "# HELP "), names(&text, "# TYPE "));
    assert_eq!(described, typed, "{text}");
    let helps = text.lines().filter(|line| line.starts_with("# HELP audit_"));
    helps.for_each(|line| assert!(line.ends_with('.') && line.split(' ').count() > 5, "{line}"));
    assert!(described.len() >= 22, "{described:?}");
    assert!(
        text.contains("audit_health{service=\"measured\"} 0") || text.contains("audit_health{service=\"measured\"} 2")
    );

    // The metrics of `audit-trail forward`, which tests/export asks for.
    let of_feeds = named(&read("audit-trail/src/forward/metrics.rs"));
    let is_known = |name: &String| {
        let family = ["_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
        described.contains(name) || described.contains(family) || of_feeds.contains(name)
    };
    for file in ["deploy/prometheus/alerts.yml", "deploy/prometheus/alerts_test.yml", "deploy/grafana/dashboard.json"] {
        let used = named(&read(file));
        let unknown: Vec<_> = used.iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty() && !used.is_empty(), "{file}: {unknown:?}");
    }
    // The documentation of `Stats` lists each, and so does the guide of operators.
    let documented = named(&read("audit-runtime/src/recorder/stats.rs"));
    let missing: Vec<_> = described.difference(&documented).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let dashboard = named(&read("deploy/grafana/dashboard.json"));
    let shown = |name: &&String| dashboard.iter().any(|used| used.starts_with(name.as_str()));
    let unseen: Vec<_> = described.iter().filter(|name| !shown(name)).collect();
    assert!(unseen.is_empty(), "the dashboard lacks {unseen:?}");
}
