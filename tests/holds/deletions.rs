//! A row goes by a prune, and by nothing else: what the owner of the tables deletes otherwise is refused,
//! or found.

use crate::scene::{Scene, as_superuser, last_month, middle, midnight, viewed};
use audit_runtime::admin::Prune;
use audit_runtime::evidence::FindingKind;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// A row that came with a batch, and its batch.
async fn row(scene: &Scene, condition: &str) -> (Uuid, Uuid) {
    let sql =
        format!("SELECT id, batch_id FROM audit_events WHERE batch_id IS NOT NULL AND {condition} ORDER BY id LIMIT 1");
    sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&scene.database.pool).await.unwrap()
}

fn account(batch: Uuid, event: Uuid, id: Uuid) -> String {
    format!("INSERT INTO audit_pruned VALUES ('{batch}', '{event}', 1, uuid_send('{id}'))")
}

/// The event that accounts for one row, as docs/evidence.md has its hash.
fn event(batch: Uuid, event: Uuid, id: Uuid, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> String {
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
    format!(
        "INSERT INTO audit_events (id, event_type, entity_type, actor, data) VALUES ('{event}', 'audit.pruned', 'audit', 'eve', \
         jsonb_build_object('rows', 1, 'account', '{hash}', 'from', '{}', 'to', '{}'))",
        from.to_rfc3339(),
        to.to_rfc3339()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_needs_an_account_of_its_own_transaction() {
    let scene = Scene::new().await;
    let (id, batch) = row(&scene, "event_type = 'customer.viewed' AND created_at < now() - interval '90 days'").await;
    let (other, other_batch) =
        row(&scene, &format!("event_type = 'order.submitted' AND id <> '{id}' AND batch_id = '{batch}'")).await;
    assert_eq!(batch, other_batch);
    let pruned = Uuid::now_v7();
    let all = (midnight(120), midnight(40));
    let delete = format!("DELETE FROM audit_events WHERE id = '{id}'");
    let (accounted, told) = (account(batch, pruned, id), event(batch, pruned, id, all));
    let before = scene.count("true").await;
    for (name, sql) in [
        ("by nothing", delete.clone()),
        ("of all", "DELETE FROM audit_events".into()),
        ("with a condition on nothing", "DELETE FROM audit_events WHERE event_type = 'b.thing'".into()),
        ("with an account alone", format!("{accounted}; {delete}")),
        ("with an event alone", format!("{told}; {delete}")),
        ("of another row", format!("{}; {told}; {delete}", account(batch, pruned, other))),
        ("of another batch", format!("{}; {told}; {delete}", account(Uuid::now_v7(), pruned, id))),
        ("of another event", format!("{}; {told}; {delete}", account(batch, Uuid::now_v7(), id))),
        (
            "of an older interval",
            format!("{accounted}; {}; {delete}", event(batch, pruned, id, (midnight(500), midnight(400)))),
        ),
        (
            "of a later interval",
            format!("{accounted}; {}; {delete}", event(batch, pruned, id, (midnight(40), midnight(20)))),
        ),
        ("within a savepoint", format!("SAVEPOINT s; {accounted}; RELEASE s; {told}; {delete}")),
        ("of another type", format!("{accounted}; {}; {delete}", told.replace("'audit.pruned'", "'audit.prune'"))),
        (
            "by an event of another time",
            format!(
                "{accounted}; {}; {delete}",
                told.replace("data) VALUES", "data, created_at) VALUES").replace("))", "), now() - interval '1 s')")
            ),
        ),
        ("as an update", format!("{accounted}; {told}; UPDATE audit_events SET actor = 'eve' WHERE id = '{id}'")),
        ("as a truncation", format!("{accounted}; {told}; TRUNCATE audit_events")),
    ] {
        assert_eq!(scene.owner(&sql).await.as_deref(), Some("42501"), "{name}: {sql}");
    }
    // In one transaction the account, in another one the row.
    assert_eq!(scene.owner(&format!("{accounted}; {told}")).await, None);
    assert_eq!(scene.owner(&delete).await.as_deref(), Some("42501"));
    assert_eq!(scene.count("true").await, before);
    // Rows that are there are no problem, although somebody says that they were pruned.
    scene.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_by_hand_that_is_accounted_for_is_reported_or_a_problem() {
    let scene = Scene::new().await;
    // The owner may prune by hand, as before, and verification states it.
    let (id, batch) = row(&scene, "event_type = 'customer.viewed' AND created_at < now() - interval '90 days'").await;
    let pruned = Uuid::now_v7();
    let sql = format!(
        "{}; {}; DELETE FROM audit_events WHERE id = '{id}'",
        account(batch, pruned, id),
        event(batch, pruned, id, (midnight(120), midnight(40)))
    );
    assert_eq!(scene.owner(&sql).await, None);
    scene.is_unharmed().await;
    let found = scene.of_kind(FindingKind::Pruned).await;
    assert!(
        found.len() == 1 && found[0].text.starts_with("1 rows of ") && found[0].text.contains("by eve at"),
        "{found:#?}"
    );
    // Lies about the age of a row, even where the trigger does not fire.
    let (id, batch) = row(&scene, "event_type = 'customer.viewed' AND created_at > now() - interval '5 days'").await;
    for (name, interval) in [
        ("what is to come", (midnight(5), midnight(-2))),
        ("older than its batch", (midnight(200), midnight(110))),
        ("younger than its batch", (midnight(-1), midnight(0))),
        ("older than the row", (midnight(200), midnight(6))),
    ] {
        let pruned = Uuid::now_v7();
        let sql = format!(
            "{}; {}; DELETE FROM audit_events WHERE id = '{id}'",
            account(batch, pruned, id),
            event(batch, pruned, id, interval)
        );
        let tables = ["audit_events", "audit_pruned"];
        for table in tables {
            as_superuser(&scene.database.pool, &format!("CREATE TABLE kept_{table} AS TABLE {table}")).await;
        }
        as_superuser(&scene.database.pool, &sql).await;
        let problems = scene.problems().await;
        assert!(
            problems.iter().any(|problem| problem.starts_with(&format!("missing: event {id}"))),
            "{name}: {problems:#?}"
        );
        for table in tables {
            let restore =
                format!("DELETE FROM {table}; INSERT INTO {table} TABLE kept_{table}; DROP TABLE kept_{table}");
            as_superuser(&scene.database.pool, &restore).await;
        }
        scene.is_unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_of_deleted_rows_cannot_be_changed_afterwards() {
    let scene = Scene::new().await;
    let report = scene.prune(&Prune::new(middle()).only(viewed().tenant("acme"))).await;
    scene.database.admin().checkpoint(&scene.key).await.unwrap();
    let event = report.events[0];
    for sql in ["DELETE FROM audit_pruned", "UPDATE audit_pruned SET rows = rows + 1, ids = NULL"] {
        assert_eq!(scene.owner(sql).await.as_deref(), Some("42501"), "{sql}");
    }
    for sql in [
        format!("DELETE FROM audit_pruned WHERE event_id = '{event}'"),
        format!("UPDATE audit_pruned SET ids = NULL WHERE event_id = '{event}'"),
        format!("UPDATE audit_events SET data = jsonb_set(data, '{{filter,tenant}}', 'null') WHERE id = '{event}'"),
        format!("UPDATE audit_events SET data = data - 'filter' WHERE id = '{event}'"),
        format!("DELETE FROM audit_events WHERE id = '{event}'"),
    ] {
        for table in ["audit_events", "audit_pruned"] {
            as_superuser(&scene.database.pool, &format!("CREATE TABLE kept_{table} AS TABLE {table}")).await;
        }
        as_superuser(&scene.database.pool, &sql).await;
        assert!(!scene.problems().await.is_empty(), "{sql}");
        for table in ["audit_events", "audit_pruned"] {
            let restore =
                format!("DELETE FROM {table}; INSERT INTO {table} TABLE kept_{table}; DROP TABLE kept_{table}");
            as_superuser(&scene.database.pool, &restore).await;
        }
    }
    scene.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_know_of_holds_prunes_nothing_while_one_is_in_force() {
    let scene = Scene::new().await;
    let insert = "INSERT INTO audit_pruned VALUES (gen_random_uuid(), gen_random_uuid(), 1, NULL)";
    let rolled_back = format!("{insert}; ROLLBACK; BEGIN");
    assert_eq!(scene.owner(&rolled_back).await, None);
    let id = scene.hold(audit_runtime::admin::Hold::new().entity("customer", 100)).await;
    // As version 8 and older begin their accounts.
    assert_eq!(scene.owner(insert).await.as_deref(), Some("0A000"));
    scene.database.admin().lift_hold(id, "closed").await.unwrap();
    assert_eq!(scene.owner(&rolled_back).await, None);
    assert!(scene.prune(&Prune::new(last_month())).await.rows > 0);
}
