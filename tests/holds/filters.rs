//! Rows that match a filter go, and no others.

use crate::scene::{Scene, last_month, middle, noon, viewed};
use audit_runtime::Event;
use audit_runtime::admin::{Hold, Prune, PruneFilter};
use audit_runtime::evidence::{FindingKind, Proof};
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The partitions by name, with the numbers of their files: an exchange gives others, a deletion none.
async fn partitions(scene: &Scene) -> BTreeMap<String, i64> {
    let sql =
        "SELECT inhrelid::regclass::text, inhrelid::bigint FROM pg_inherits WHERE inhparent = 'audit_events'::regclass";
    let found: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(&scene.database.pool).await.unwrap();
    found.into_iter().collect()
}

fn before() -> String {
    format!("created_at < '{}'", middle().to_rfc3339())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_share_is_deleted_and_a_large_one_exchanged_while_others_write() {
    let scene = Scene::new().await;
    let directory = tempfile::tempdir().unwrap();
    // Enough others that matching rows stay less than a tenth of the month while more of them arrive.
    let others = format!(
        "INSERT INTO audit_events (id, event_type, entity_type, created_at) \
         SELECT gen_random_uuid(), 'c.other', 'c', timestamptz '{}' FROM generate_series(1, 400)",
        noon(100).to_rfc3339()
    );
    sqlx::query(sqlx::AssertSqlSafe(others)).execute(&scene.database.pool).await.unwrap();
    for (filter, condition, is_exchanged) in [
        (viewed().tenant("acme"), "event_type = 'customer.viewed' AND tenant = 'acme'", false),
        (PruneFilter::new().event("order.*"), "event_type LIKE 'order.%'", true),
    ] {
        let gone = format!("{condition} AND {}", before());
        let (expected, others) = (scene.count(&gone).await, scene.count(&format!("NOT ({gone})")).await);
        assert!(expected > 50);
        let files = partitions(&scene).await;
        let archive = directory.path().join(format!("{is_exchanged}.ndjson"));
        let prune = Prune::new(middle()).only(filter.clone()).archive(&archive);
        let audit = scene.database.audit().batch_rows(10).start().unwrap();
        let ended = AtomicBool::new(false);
        let writing = async {
            let mut written = 0;
            while !ended.load(Ordering::Relaxed) {
                // They arrive in months that are pruned, and match. They stay, because nobody verified them.
                for (event, tenant) in [("customer.viewed", "acme"), ("order.late", "acme")] {
                    audit.record_at(Event::new(event).tenant(tenant), noon(100)).unwrap();
                    written += 1;
                }
                audit.flush().await.unwrap();
            }
            written
        };
        let pruning = async {
            let report = scene.prune(&prune).await;
            ended.store(true, Ordering::Relaxed);
            report
        };
        let (written, report) = futures_util::join!(writing, pruning);
        audit.shutdown(Duration::from_secs(60)).await.unwrap();
        assert!(report.rows >= expected && report.rows <= expected + written, "{report:?} {expected}");
        assert_eq!(scene.count(&gone).await + report.rows, expected + written / 2);
        assert_eq!(scene.count(&format!("NOT ({gone})")).await, others + written / 2);
        let exchanged = partitions(&scene).await.into_iter().filter(|(name, file)| files[name] != *file).count();
        assert_eq!(exchanged > 0, is_exchanged, "{filter}");
        assert!(report.months >= 2 && report.events.len() as u64 == report.months, "{report:?}");

        scene.database.admin().checkpoint(&scene.key).await.unwrap();
        let (findings, verified) = scene.database.verify(Some(scene.key.public()), &[]).await;
        assert_eq!(verified.problems, 0, "{findings:#?}");
        let pruned = findings.iter().find(|finding| finding.event == Some(report.events[0])).unwrap();
        let text = format!("({filter}), by pruner at ");
        assert!(pruned.kind == FindingKind::Pruned && pruned.text.contains(&text), "{pruned}");
        // What is archived can be proven.
        let text = std::fs::read_to_string(&archive).unwrap();
        assert_eq!(text.lines().count() as u64, report.rows);
        for is_batched in [true, false] {
            let Some(line) = text.lines().find(|line| line.contains("\"batch_id\":null") != is_batched) else {
                continue;
            };
            let proof = scene.database.admin().prove_archived(line).await.unwrap().to_json().unwrap();
            Proof::from_json(&proof).unwrap().verify(scene.key.public()).unwrap();
        }
    }
    let report = scene.prune(&Prune::new(middle()).only(viewed().tenant("acme"))).await;
    assert!(report.rows > 0, "rows that arrived meanwhile go with the next prune");
    let again = scene.prune(&Prune::new(middle()).only(viewed().tenant("acme"))).await;
    assert_eq!((again.rows, again.months, again.events), (0, 0, vec![]));
    scene.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_condition_narrows_a_prune_and_exceptions_stay() {
    let scene = Scene::new().await;
    let all = scene.count("true").await;
    for (filter, condition) in [
        (viewed().entity("customer", 100), "entity_type = 'customer' AND entity_key = '100'"),
        (
            viewed().tenant("acme").entity_type("b"),
            "event_type = 'customer.viewed' AND entity_type = 'b' AND tenant = 'acme'",
        ),
        (PruneFilter::new().actor("ann").tenant("globex"), "actor = 'ann' AND tenant = 'globex'"),
        (
            viewed().event("b.*").tenant("acme").actor("system"),
            "event_type IN ('b.thing', 'customer.viewed') AND tenant = 'acme' AND actor = 'system'",
        ),
    ] {
        let condition = format!("{condition} AND {}", before());
        let (expected, all) = (scene.count(&condition).await, scene.count("true").await);
        assert!(expected > 0, "{filter}");
        let mut steps = Vec::new();
        let dry = Prune::new(middle()).only(filter.clone()).dry_run(true);
        let planned = scene.database.admin().prune(&dry, |step| steps.push(step.to_string())).await.unwrap();
        assert_eq!((planned.rows, scene.count("true").await), (expected, all), "{filter}: {steps:#?}");
        let report = scene.prune(&Prune::new(middle()).only(filter.clone())).await;
        assert_eq!((report.rows, report.months), (expected, planned.months), "{filter}");
        assert_eq!((scene.count(&condition).await, scene.count("true").await), (0, all - expected), "{filter}");
    }
    // What matches nothing is a filter of nothing, and not of everything.
    let left = scene.count("true").await;
    for filter in [
        PruneFilter::new().tenant(None::<&str>),
        PruneFilter::new().entity("customer", None::<i64>),
        PruneFilter::new().event("customer_viewed"),
        PruneFilter::new().event("%"),
        viewed().entity_type("order").entity("customer", 101),
    ] {
        assert_eq!(scene.prune(&Prune::new(middle()).only(filter.clone())).await.rows, 0, "{filter}");
    }
    assert_eq!(scene.count("true").await, left);
    // All events but those of an earlier rule.
    let rest = Prune::new(middle()).only(PruneFilter::new()).except(PruneFilter::new().event("order.*"));
    let orders = scene.count("event_type LIKE 'order.%'").await;
    let young = scene.count(&format!("NOT {} AND event_type NOT LIKE 'order.%'", before())).await;
    let report = scene.prune(&rest).await;
    assert_eq!((scene.count("true").await, report.rows), (orders + young, left - orders - young));
    assert!(all > left);
    scene.database.admin().checkpoint(&scene.key).await.unwrap();
    scene.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_keep_their_events_from_every_prune_until_they_are_lifted() {
    let scene = Scene::new().await;
    let of_customer = "(entity_type = 'customer' AND entity_key = '100' OR data ->> 'customer_id' = '100')";
    let cases = [
        (Hold::new().entity("customer", 100), of_customer),
        (Hold::new().entity("order", 1001).tenant("acme"), "entity_type = 'order' AND entity_key = '1001'"),
        (Hold::new().entity("desk", 7).tenant("globex"), "tenant = 'globex' AND targets IS NOT NULL"),
        (Hold::new().tenant("globex").event("customer.*"), "tenant = 'globex' AND event_type LIKE 'customer.%'"),
        (Hold::new().event("b.thing"), "event_type = 'b.thing'"),
        (Hold::new().actor("ann").entity("customer", 90), "actor = 'ann' AND entity_key = '90'"),
    ];
    let mut ids = Vec::new();
    let old = format!("created_at < '{}'", last_month().to_rfc3339());
    let mut held = Vec::new();
    for (hold, condition) in cases {
        let id = scene.hold(hold).await;
        let events = scene.holds().await.into_iter().find(|status| status.id == id).unwrap().events;
        assert_eq!(events, Some(scene.count(condition).await), "{condition}");
        ids.push(id);
        held.push(format!("({condition})"));
    }
    let held = held.join(" OR ");
    let kept = scene.count(&format!("{old} AND ({held})")).await;
    let mut steps = Vec::new();
    let dry = Prune::new(last_month()).dry_run(true);
    let planned = scene.database.admin().prune(&dry, |step| steps.push(step.to_string())).await.unwrap();
    assert_eq!(planned.held, kept, "{steps:#?}");
    assert_eq!(planned.rows, scene.count(&old).await - kept);
    for id in &ids {
        assert!(steps.iter().any(|step| step.contains(&format!("hold {id} keeps "))), "{id}: {steps:#?}");
    }
    // By a filter, and then by whole months.
    let report = scene.prune(&Prune::new(last_month()).only(viewed())).await;
    assert!(report.rows > 0 && report.held > 0, "{report:?}");
    assert_eq!(scene.count(&format!("{old} AND ({held})")).await, kept);
    let report = scene.prune(&Prune::new(last_month())).await;
    assert_eq!((report.held, scene.count(&old).await), (kept, kept));
    scene.is_unharmed().await;
    for id in ids {
        scene.database.admin().lift_hold(id, "closed").await.unwrap();
    }
    scene.prune(&Prune::new(last_month())).await;
    assert_eq!(scene.count(&old).await, 0);
    scene.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_of_a_prune_states_its_filter() {
    let scene = Scene::new().await;
    let filter = viewed().tenant("acme");
    let report =
        scene.prune(&Prune::new(middle()).only(filter).except(PruneFilter::new().entity("customer", 100))).await;
    let data: Value = sqlx::query_scalar("SELECT data FROM audit_events WHERE id = $1")
        .bind(report.events.last())
        .fetch_one(&scene.database.pool)
        .await
        .unwrap();
    assert_eq!(data["filter"]["events"], json!(["customer.viewed"]));
    assert_eq!((&data["filter"]["tenant"], &data["except"][0]["entity"]["key"]), (&json!("acme"), &json!("100")));
    let to: chrono::DateTime<chrono::Utc> = data["to"].as_str().unwrap().parse().unwrap();
    assert_eq!(to, middle());
    let from: chrono::DateTime<chrono::Utc> = data["from"].as_str().unwrap().parse().unwrap();
    assert!(from < to && to - from < TimeDelta::days(31));
}
