//! Prunes that meet each other, a hold, or SIGKILL.

use crate::scene::{Scene, last_month, midnight, noon, viewed};
use audit_runtime::admin::{Hold, Prune, PruneError, PruneFilter};
use chrono::Utc;
use sqlx::{AssertSqlSafe, Executor};
use std::process::Command;
use std::time::{Duration, Instant};
use tests::eventually;
use tests::examples::audit_trail;
use tests::wait::PATIENCE;

async fn left_over(scene: &Scene) -> i64 {
    scene.database.count("SELECT (SELECT count(*) FROM pg_proc WHERE proname ~ '^audit_keep_') + (SELECT count(*) FROM pg_class WHERE relname ~ '^audit_keep_[0-9]+$')").await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_prunes_at_once_the_second_finds_nothing_left() {
    let scene = Scene::new().await;
    for filter in [viewed().tenant("acme"), viewed(), PruneFilter::new().event("order.*")] {
        let prune = Prune::new(last_month()).only(filter.clone());
        let (expected, others) = (
            scene.database.admin().prune(&prune.clone().dry_run(true), |_| {}).await.unwrap().rows,
            scene.count("true").await,
        );
        let (one, two) = futures_util::join!(scene.prune(&prune), scene.prune(&prune));
        assert_eq!((one.rows.max(two.rows), one.rows.min(two.rows)), (expected, 0), "{filter}");
        assert_eq!(scene.count("true").await, others - expected);
    }
    assert_eq!(left_over(&scene).await, 0);
    scene.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_added_meanwhile_stops_a_prune() {
    let scene = Scene::new().await;
    let before = scene.count("true").await;
    for (number, prune) in [
        Prune::new(last_month()),
        Prune::new(last_month()).only(PruneFilter::new().event("order.*")),
        Prune::new(last_month()).only(viewed().tenant("acme")),
    ]
    .into_iter()
    .enumerate()
    {
        let hold = Hold::new().entity("customer", 60 + number);
        let admin = scene.database.admin();
        let stopped = admin
            .prune(&prune, |step| {
                if step.to_string().contains("verifying") {
                    let adding = scene.hold(hold.clone());
                    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(adding));
                }
            })
            .await
            .unwrap_err();
        assert!(matches!(stopped, PruneError::HoldAdded(_)), "{stopped}");
        assert_eq!((scene.count("true").await, left_over(&scene).await), (before, 0));
    }
    assert!(scene.prune(&Prune::new(last_month())).await.held > 0);
    scene.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_that_was_killed_is_finished_by_the_next_one() {
    let scene = Scene::new().await;
    let pool = &scene.database.pool;
    // Of this month, whose rows are deleted. On its first day, they would be of a month that is over, and a
    // share of it small enough to be deleted needs more than a million others.
    if Utc::now().date_naive().format("%d").to_string() == "01" {
        eprintln!("LEFT OUT on the first of a month");
        return;
    }
    let many = format!(
        "INSERT INTO audit_events (id, event_type, entity_type, created_at) SELECT gen_random_uuid(), 'c.thing', 'c', \
         timestamptz '{}' + n * interval '1 ms' FROM generate_series(1, 121000) n",
        noon(1).to_rfc3339()
    );
    pool.execute(AssertSqlSafe(many)).await.unwrap();
    let others = scene.count("event_type <> 'c.thing'").await;
    let date = midnight(0).date_naive().to_string();
    let mut child = Command::new(audit_trail())
        .args(["prune", "--event", "c.thing", "--before", &date, "--actor", "killed"])
        .env("DATABASE_URL", &scene.database.url)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pruned = "SELECT count(*) FROM audit_events WHERE event_type = 'audit.pruned'";
    let deadline = Instant::now() + 10 * PATIENCE;
    while scene.database.count(pruned).await == 0 {
        assert!(Instant::now() < deadline, "no part of it is gone");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(child.try_wait().unwrap().is_none(), "it ended first");
    child.kill().unwrap();
    child.wait().unwrap();
    let sessions = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    eventually("its session is over", async || scene.database.count(sessions).await == 0).await;
    let left = scene.count("event_type = 'c.thing'").await;
    assert!(left > 0 && left < 121_000 && left % 1_000 == 0, "{left}");
    scene.is_unharmed().await;
    let prune = Prune::new(midnight(0)).only(PruneFilter::new().event("c.thing"));
    let report = scene.prune(&prune).await;
    assert_eq!((report.rows, scene.count("event_type = 'c.thing'").await), (left, 0));
    assert_eq!(report.events.len() as u64, left.div_ceil(20_000));
    assert_eq!((scene.count("true").await, left_over(&scene).await), (others, 0));
    scene.database.admin().checkpoint(&scene.key).await.unwrap();
    scene.is_unharmed().await;
    assert_eq!(scene.prune(&prune).await.rows, 0);
}
