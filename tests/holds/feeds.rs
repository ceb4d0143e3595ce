//! Prunes beside feeds that have not sent everything.

use crate::command::run;
use crate::scene::{Scene, middle, viewed};
use audit_runtime::admin::{Prune, PruneError};
use audit_runtime::feed::{Arrivals, Feeds, NewFeed, Position, Start};
use audit_runtime::sqlx;
use audit_runtime::trail::EventFilter;
use tests::eventually;

/// Makes a feed that has sent nothing yet.
async fn feed(scene: &Scene, name: &str, start: Start) {
    let new =
        NewFeed { name: name.into(), target: "-".into(), form: "ndjson".into(), conditions: String::new(), start };
    Feeds::new(scene.database.pool.clone()).open(&new).await.unwrap().close().await;
}

/// Has a feed come to this position.
async fn sends(scene: &Scene, name: &str, position: &Position) {
    sqlx::query("UPDATE audit_feeds SET position = $2 WHERE name = $1")
        .bind(name)
        .bind(position.to_string())
        .execute(&scene.database.pool)
        .await
        .unwrap();
}

/// The positions behind each portion.
async fn positions(scene: &Scene) -> Vec<Position> {
    let held_back = "SELECT count(*) FROM audit_batches WHERE lineage = audit_lineage() AND xact >= pg_snapshot_xmin(pg_current_snapshot())";
    eventually("what is stored is complete", async || scene.database.count(held_back).await == 0).await;
    let mut arrivals = Arrivals::new(scene.database.pool.clone(), EventFilter::new(), Position::beginning());
    let mut positions = Vec::new();
    while let Some(portion) = arrivals.next().await.unwrap() {
        positions.push(portion.position);
    }
    positions
}

async fn prune(scene: &Scene, prune: &Prune) -> Result<u64, PruneError> {
    scene.database.admin().prune(prune, |_| {}).await.map(|report| report.rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_waits_for_the_feeds_that_have_not_sent_what_goes() {
    let scene = Scene::new().await;
    let (all, date) = (scene.count("true").await, middle().date_naive().to_string());
    feed(&scene, "new", Start::Now).await;
    for name in ["siem", "lake"] {
        feed(&scene, name, Start::Beginning).await;
    }
    // A feed that is paused is to go on one day.
    assert_eq!(run(&scene, &["feed", "pause", "siem"]).code, 0);
    for settings in [Prune::new(middle()), Prune::new(middle()).only(viewed())] {
        let error = prune(&scene, &settings).await.unwrap_err();
        assert!(matches!(&error, PruneError::Unsent(feeds) if feeds == &["lake", "siem"]), "{error}");
        assert!(error.to_string().contains("(lake, siem)") && error.to_string().contains("feed remove"), "{error}");
    }
    let file = scene.database.journals.path().join("retention.toml");
    std::fs::write(&file, "[[rule]]\nkeep = \"40 days\"").unwrap();
    let file = file.to_str().unwrap();
    for arguments in [&["prune", "--before", &date, "--event", "customer.*"][..], &["retain", file, "--apply"]] {
        let ran = run(&scene, arguments);
        assert!(ran.code == 1 && ran.stderr.contains("a feed has not sent (lake, siem)"), "{}", ran.stderr);
    }
    let plan = run(&scene, &["retain", file]);
    assert!(plan.code == 0 && plan.stdout.contains("feed siem has not sent all of these rows"), "{}", plan.stdout);
    assert!(!plan.stdout.contains("feed new"), "{}", plan.stdout);
    assert_eq!(scene.count("true").await, all);
    // Portions are in the order in which rows were recorded, the newest first. The rows of other
    // programs are in the last one.
    let positions = positions(&scene).await;
    let [.., before_last, last] = &positions[..] else { panic!("{positions:?}") };
    sends(&scene, "siem", last).await;
    sends(&scene, "lake", before_last).await;
    let error = prune(&scene, &Prune::new(middle()).only(viewed())).await.unwrap_err();
    assert!(matches!(&error, PruneError::Unsent(feeds) if feeds == &["lake"]), "{error}");
    let recorded = Prune::new(middle()).only(viewed().actor("ann"));
    assert!(prune(&scene, &recorded).await.unwrap() > 0, "the last portion has none of these");
    assert_eq!(run(&scene, &["feed", "remove", "lake"]).code, 0);
    assert!(prune(&scene, &Prune::new(middle()).only(viewed())).await.unwrap() > 0);
    feed(&scene, "late", Start::Beginning).await;
    assert!(prune(&scene, &Prune::new(middle())).await.is_err());
    assert!(prune(&scene, &Prune::new(middle()).ignore_feeds(true)).await.unwrap() > 0);
    let ran = run(&scene, &["retain", file, "--apply", "--despite-feeds"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    scene.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_prune_seals_or_that_left_the_quarantine_are_still_to_be_sent() {
    let scene = Scene::new().await;
    feed(&scene, "siem", Start::Beginning).await;
    let [.., last] = &positions(&scene).await[..] else { panic!() };
    sends(&scene, "siem", last).await;
    let unsealed = "INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES (gen_random_uuid(), 'raw.row', 'x', now() - interval '70 days')";
    sqlx::raw_sql(unsealed).execute(&scene.database.pool).await.unwrap();
    let dry = ["prune", "--before", &middle().date_naive().to_string(), "--event", "raw.row"];
    let said = run(&scene, &[&dry[..], &["--dry-run"]].concat());
    assert!(said.stdout.contains("feed siem has not sent all of these rows"), "{}{}", said.stdout, said.stderr);
    let raw = audit_runtime::admin::PruneFilter::new().event("raw.row");
    let raw = Prune::new(middle()).only(raw);
    assert!(matches!(prune(&scene, &raw).await, Err(PruneError::Unsent(_))));
    let [.., last] = &positions(&scene).await[..] else { panic!() };
    sends(&scene, "siem", last).await;
    assert_eq!(prune(&scene, &raw).await.unwrap(), 1);
    // Its batch was sent long ago.
    let retried = "INSERT INTO audit_retried SELECT id, batch_id, audit_lineage(), pg_current_xact_id() FROM audit_events \
         WHERE event_type = 'order.submitted' ORDER BY created_at LIMIT 1";
    sqlx::raw_sql(retried).execute(&scene.database.pool).await.unwrap();
    let orders = Prune::new(middle()).only(audit_runtime::admin::PruneFilter::new().event("order.*"));
    assert!(matches!(prune(&scene, &orders).await, Err(PruneError::Unsent(_))));
    let [.., last] = &positions(&scene).await[..] else { panic!() };
    sends(&scene, "siem", last).await;
    assert!(prune(&scene, &orders).await.unwrap() > 0);
}
