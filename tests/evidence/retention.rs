//! Months are removed after their retention, while others write. The remaining rows prove that no
//! other row went.

use crate::independent;
use crate::scene::{Scene, as_superuser};
use audit_runtime::admin::Progress;
use audit_runtime::admin::{Admin, Prune, PruneError};
use audit_runtime::evidence::{FindingKind, Proof, Verification};
use audit_runtime::{Event, audited};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Executor};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tests::{Database, eventually};
use uuid::Uuid;

#[audited(event = "order.submitted")]
fn submit(order_id: Uuid, quantity: f64) {}

/// The first of the month so many months ago.
fn month(ago: u32) -> DateTime<Utc> {
    let now = Utc::now();
    let month = now.year() * 12 + now.month0().cast_signed() - ago.cast_signed();
    format!("{:04}-{:02}-01T00:00:00Z", month / 12, month % 12 + 1).parse().unwrap()
}

/// A trail of half a year, with rows of every kind.
async fn half_a_year(seed: u64) -> Scene {
    let scene = Scene::new(seed).await;
    let audit = scene.database.audit().batch_rows(50).start().unwrap();
    for days in 0..180 {
        let time = Utc::now() - TimeDelta::days(days);
        audit.record_at(Event::new("a.thing").data(&serde_json::json!({"days": days, "x": 1.10})), time).unwrap();
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    let others = "INSERT INTO audit_events (id, event_type, entity_type, created_at, data) SELECT gen_random_uuid(), 'b.thing', 'b', \
         now() - n * interval '1 day', '{\"n\": 1e3}' FROM generate_series(1, 180) n";
    scene.database.pool.execute(others).await.unwrap();
    scene.database.admin().checkpoint(&scene.key).await.unwrap();
    scene
}

/// The problems that verification reports.
async fn problems(scene: &Scene) -> Vec<String> {
    let (findings, _) = scene.database.verify(Some(scene.key.public()), &scene.saved).await;
    findings.iter().filter(|finding| finding.is_problem()).map(ToString::to_string).collect()
}

async fn left_over(database: &Database) -> i64 {
    database.count("SELECT (SELECT count(*) FROM pg_proc WHERE proname LIKE 'audit\\_keep%') + (SELECT count(*) FROM pg_class WHERE relname LIKE 'audit\\_keep\\__')").await
}

#[tokio::test(flavor = "multi_thread")]
async fn months_go_while_others_write_and_what_is_left_verifies() {
    let scene = half_a_year(21).await;
    let database = &scene.database;
    let (order, named) = (Uuid::now_v7(), Uuid::now_v7());
    let held = format!(
        "INSERT INTO audit_events (id, event_type, entity_type, entity_id, created_at, data) VALUES \
         ('{}', 'order.filled', 'order', '{order}', now() - interval '100 days', '{{}}'), \
         ('{named}', 'risk.evaluated', 'risk', NULL, now() - interval '100 days', '{{\"order_id\": \"{order}\"}}'), \
         ('{}', 'audit.forgotten', 'audit', NULL, now() - interval '100 days', '{{}}'), \
         ('{}', 'audit.pruned', 'audit', NULL, now() - interval '100 days', '{{}}')",
        Uuid::now_v7(),
        Uuid::now_v7(),
        Uuid::now_v7()
    );
    database.pool.execute(AssertSqlSafe(held)).await.unwrap();
    let before = database.events().await;
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("old.ndjson");
    let audit = database.audit().batch_rows(10).start().unwrap();
    let ended = AtomicBool::new(false);
    let writing = async {
        let mut written = 0;
        while !ended.load(Ordering::Relaxed) {
            for days in [0, 1, 60, 100, 130] {
                audit.record_at(Event::new("late.thing"), Utc::now() - TimeDelta::days(days)).unwrap();
                let _entered = audit.enter();
                submit(order, 1.0);
                written += 2;
            }
            audit.flush().await.unwrap();
        }
        written
    };
    let pruning = async {
        let prune = Prune::new(month(2)).archive(&archive).hold("order", order);
        let pruned = database.admin().actor("alice").prune(&prune, |_| {}).await.unwrap();
        // Twice in a row: what came meanwhile goes now, what is held stays.
        let again = database.admin().prune(&Prune::new(month(2)).hold("order", order), |_| {}).await.unwrap();
        ended.store(true, Ordering::Relaxed);
        (pruned, again)
    };
    let (written, (pruned, again)) = futures_util::join!(writing, pruning);
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    assert!(pruned.months >= 3 && pruned.rows > 150 && pruned.held >= 2, "{pruned:?}");
    let gone = (pruned.rows + again.rows).cast_signed();
    let events = (pruned.events.len() + again.events.len()) as i64;
    assert_eq!(database.events().await, before + written + events - gone);
    assert_eq!(left_over(database).await, 0);
    let held: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_events WHERE entity_id = $1 AND created_at < now() - interval '90 days' OR id = $2",
    )
    .bind(order)
    .bind(named)
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(held, 2);
    let accounts =
        "SELECT count(*) FROM audit_events WHERE entity_type = 'audit' AND created_at < now() - interval '90 days'";
    assert_eq!(database.count(accounts).await, 2, "what the trail says of itself is never pruned");
    let old = database.count("SELECT count(*) FROM audit_events WHERE created_at < now() - interval '95 days' AND event_type = 'a.thing'").await;
    assert_eq!(old, 0);

    database.admin().checkpoint(&scene.key).await.unwrap();
    let (findings, report) = database.verify(Some(scene.key.public()), &scene.saved).await;
    assert_eq!((report.problems, report.not_sealed), (0, 0), "{findings:#?}");
    assert_eq!(report.pruned.cast_signed(), gone);
    assert_eq!(findings.len() as i64, events);
    let told = findings.iter().find(|finding| finding.event == Some(pruned.events[0])).unwrap();
    assert!(told.kind == FindingKind::Pruned && told.text.contains("by alice at 20"), "{told}");
    if let Some(found) = independent::trail(&scene) {
        assert_eq!((&found["problems"], &found["rows"]), (&serde_json::json!([]), &report.rows.into()), "{found:#}");
    }
    // The partitions that stay are append-only, and what is archived can be proven.
    assert!(database.pool.execute("DELETE FROM audit_events WHERE event_type = 'order.filled'").await.is_err());
    let text = std::fs::read_to_string(&archive).unwrap();
    assert_eq!(text.lines().count() as u64, pruned.rows);
    let hash = hex::encode(Sha256::digest(&text));
    let event: (String, String) =
        sqlx::query_as("SELECT actor, data #>> '{archive,sha256}' FROM audit_events WHERE id = $1")
            .bind(pruned.events[0])
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert_eq!(event, ("alice".to_owned(), hash));
    for kind in ["a.thing", "b.thing"] {
        let line = text.lines().find(|line| line.contains(kind)).unwrap();
        let proof = database.admin().prove_archived(line).await.unwrap();
        Proof::from_json(&proof.to_json().unwrap()).unwrap().verify(scene.key.public()).unwrap();
        let forged = line.replace(kind, "c.thing");
        assert!(database.admin().prove_archived(&forged).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_partition_goes_while_somebody_verifies() {
    let scene = half_a_year(25).await;
    let pool = &scene.database.pool;
    let (begin, begun) = tokio::sync::oneshot::channel();
    let (mut begin, pool_of_its_own) = (Some(begin), pool.clone());
    let pruning = tokio::spawn(async move {
        begun.await.unwrap();
        Admin::new(pool_of_its_own).prune(&Prune::new(month(2)), |_| {}).await.unwrap()
    });
    // A problem of a checkpoint is reported before any event is read.
    let mut problems = Vec::new();
    let verification = Verification::new().checkpoint("kept", "nothing");
    let admin = Admin::new(pool.clone());
    let verifying = admin.verify(&verification, |step| {
        let Progress::Found(finding) = step else { return };
        if finding.is_problem() {
            problems.push(finding.to_string());
        }
        let Some(begin) = begin.take() else { return };
        begin.send(()).unwrap();
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let reached = eventually("it is done, or waits", async || {
            pruning.is_finished() || scene.database.count(waiting).await > 0
        });
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(reached));
    });
    let report = verifying.await.unwrap();
    assert_eq!(report.problems, 1, "{problems:#?}");
    assert!(pruning.await.unwrap().rows > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_waits_for_whoever_reads_and_holds_up_nobody_who_writes() {
    let scene = half_a_year(26).await;
    let database = &scene.database;
    database.admin().make_partitions(|_| {}).await.unwrap();
    let mut reader = database.pool.begin().await.unwrap();
    reader.execute("SELECT count(*) FROM audit_events").await.unwrap();
    let prune = Prune::new(month(2));
    let waits = AtomicBool::new(true);
    let pruning = async {
        let pruned = database.admin().prune(&prune, |_| {}).await.unwrap();
        (pruned, waits.load(Ordering::Relaxed))
    };
    let writing = async {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        for _ in 0..3 {
            eventually("it waits for its lock", async || database.count(waiting).await > 0).await;
            // Behind it in the queue, but not for long.
            let insert = "INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES (gen_random_uuid(), 'b.thing', 'b', now() - interval '100 days')";
            database.pool.execute(insert).await.unwrap();
        }
        waits.store(false, Ordering::Relaxed);
        reader.commit().await.unwrap();
    };
    let ((pruned, waited), ()) = futures_util::join!(pruning, writing);
    assert!(pruned.rows > 0 && !waited, "{pruned:?}");
    assert_eq!(pruned.held, 3);
    assert_eq!(problems(&scene).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_say_pruned_of_what_was_deleted() {
    let scene = half_a_year(22).await;
    let database = &scene.database;
    let pruned = database.admin().prune(&Prune::new(month(3)), |_| {}).await.unwrap();
    database.admin().checkpoint(&scene.key).await.unwrap();
    assert_eq!(problems(&scene).await, Vec::<String>::new());
    let prune = pruned.events[0];
    let (id, batch): (Uuid, Uuid) = sqlx::query_as(
        "SELECT id, batch_id FROM audit_events WHERE batch_id IS NOT NULL AND created_at > now() - interval '20 days' ORDER BY id LIMIT 1",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    let delete = format!("DELETE FROM audit_events WHERE id = '{id}'");
    let forged = Uuid::now_v7();
    let account = |event: Uuid| format!("INSERT INTO audit_pruned VALUES ('{batch}', '{event}', 1, uuid_send('{id}'))");
    // As `account` hashes it: batch, rows, ids, each behind its length.
    let hash = hex::encode(Sha256::digest(
        [
            &16_i32.to_be_bytes()[..],
            batch.as_bytes(),
            &4_i32.to_be_bytes(),
            &1_i32.to_be_bytes(),
            &16_i32.to_be_bytes(),
            id.as_bytes(),
        ]
        .concat(),
    ));
    let event = |to: &str| {
        format!(
            "INSERT INTO audit_events (id, event_type, entity_type, data) VALUES ('{forged}', 'audit.pruned', 'audit', \
             jsonb_build_object('rows', 1, 'account', '{hash}', 'from', '2026-01-01T00:00:00Z', 'to', {to}))"
        )
    };
    let tables = ["audit_events", "audit_pruned"];
    for table in tables {
        database.pool.execute(AssertSqlSafe(format!("CREATE TABLE kept_{table} AS TABLE {table}"))).await.unwrap();
    }
    for (name, attack, named) in [
        ("with no event", format!("{delete}; {}", account(forged)), vec![forged, id]),
        ("by an event that is there", format!("{delete}; {}", account(prune)), vec![prune, id]),
        (
            "by an event of older rows",
            format!("{delete}; {}; {}", account(forged), event("'2026-02-01T00:00:00Z'")),
            vec![forged, id],
        ),
        (
            "by an event of what is to come",
            format!("{delete}; {}; {}", account(forged), event("'2999-01-01T00:00:00Z'")),
            vec![forged, id],
        ),
        ("by nothing in words", format!("{delete}; {}; {}", account(forged), event("'some time'")), vec![forged, id]),
        ("without the event", format!("DELETE FROM audit_events WHERE id = '{prune}'"), vec![prune]),
        ("without the account", format!("DELETE FROM audit_pruned WHERE event_id = '{prune}'"), vec![prune]),
        (
            "with more rows",
            format!("UPDATE audit_pruned SET ids = NULL, rows = rows + 1 WHERE event_id = '{prune}'"),
            vec![prune],
        ),
        ("by somebody else", format!("UPDATE audit_events SET actor = 'bob' WHERE id = '{prune}'"), vec![prune]),
    ] {
        as_superuser(&database.pool, &attack).await;
        let (findings, _) = database.verify(Some(scene.key.public()), &scene.saved).await;
        for id in named {
            let is_named = findings.iter().any(|finding| finding.is_problem() && finding.event == Some(id));
            assert!(is_named, "{name}: {id}: {findings:#?}");
        }
        for table in tables {
            as_superuser(&database.pool, &format!("DELETE FROM {table}; INSERT INTO {table} TABLE kept_{table}")).await;
        }
    }
    assert_eq!(problems(&scene).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_a_changed_row_is_not_pruned_unasked() {
    let scene = half_a_year(23).await;
    let database = &scene.database;
    as_superuser(
        &database.pool,
        "UPDATE audit_events SET actor = 'nobody' WHERE id = (SELECT id FROM audit_events ORDER BY created_at LIMIT 1)",
    )
    .await;
    let before = database.events().await;
    let refused = database.admin().prune(&Prune::new(month(2)), |_| {}).await.unwrap_err();
    assert!(matches!(refused, PruneError::Problems(1)), "{refused}");
    assert_eq!((database.events().await, left_over(database).await), (before, 0));
    let pruned = database.admin().prune(&Prune::new(month(2)).ignore_findings(true), |_| {}).await.unwrap();
    let told: serde_json::Value = sqlx::query_scalar("SELECT data FROM audit_events WHERE id = $1")
        .bind(pruned.events[0])
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(told["problems"], 1);
    assert_eq!(problems(&scene).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_cannot_be_written_and_a_prune_that_was_interrupted_lose_nothing() {
    let scene = half_a_year(24).await;
    let database = &scene.database;
    let before = database.events().await;
    let directory = tempfile::tempdir().unwrap();
    let there = directory.path().join("there");
    std::fs::write(&there, "something").unwrap();
    for path in [there.as_path(), "/nowhere/at/all".as_ref(), "/dev/full/archive".as_ref()] {
        let refused = database.admin().prune(&Prune::new(month(2)).archive(path), |_| {}).await.unwrap_err();
        assert!(refused.to_string().contains(&format!("archive {}: ", path.display())), "{refused}");
        assert_eq!((database.events().await, left_over(database).await), (before, 0));
    }
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "something");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    let future = database.admin().prune(&Prune::new(Utc::now() + TimeDelta::hours(1)), |_| {}).await.unwrap_err();
    assert!(matches!(future, PruneError::Future(_)), "{future}");
    // Cut off where everything is prepared, as by a signal.
    {
        let prune = Prune::new(month(2));
        let (sender, reached) = tokio::sync::oneshot::channel();
        let mut sender = Some(sender);
        let admin = database.admin();
        let pruning = admin.prune(&prune, |step| {
            if step.to_string().contains("verifying") {
                let _ = sender.take().map(|sender| sender.send(()));
            }
        });
        tokio::select! {
            done = pruning => panic!("{done:?}"),
            _ = reached => {}
        }
    }
    assert!(left_over(database).await > 0);
    let insert = "INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES (gen_random_uuid(), 'b.thing', 'b', now() - interval '100 days')";
    database.pool.execute(insert).await.unwrap();
    let pruned = database.admin().prune(&Prune::new(month(2)), |_| {}).await.unwrap();
    assert_eq!((pruned.held, left_over(database).await), (0, 0));
    assert_eq!(problems(&scene).await, Vec::<String>::new());
    let nothing = database.admin().prune(&Prune::new(month(2)), |_| {}).await.unwrap();
    assert_eq!((nothing.months, nothing.rows), (0, 0));
}
