//! Two forms of digests: rows with a key, further entities or a tenant, and all others; in one trail, in one batch, in proofs and
//! archives.

use crate::independent;
use crate::scene::{Scene, as_superuser};
use audit_runtime::Event;
use audit_runtime::admin::Prune;
use audit_runtime::evidence::{FindingKind, Proof, SigningKey};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

/// An event of each kind.
fn events() -> [Event; 5] {
    let event = |number: u32| Event::new("a.thing").data(&json!({"number": number, "price": 1.10}));
    [
        event(0),
        event(1).entity("invoice", "INV-1"),
        event(2).target("account", [42, 43]),
        event(3).tenant("acme"),
        event(4).entity("invoice", Uuid::nil()).target("account", "x").tenant("acme"),
    ]
}

/// A trail half old and half new: its first batch has no row with a column of version 6.
async fn half_and_half() -> Scene {
    let database = Database::new().await;
    let key = SigningKey::generate("audit.example.com/test").unwrap();
    let mut saved = Vec::new();
    for half in [&events()[..1], &events()[..]] {
        let audit = database.audit().start().unwrap();
        for event in half {
            audit.record(event).unwrap();
        }
        audit.shutdown(Duration::from_secs(30)).await.unwrap();
        saved.push(database.admin().checkpoint(&key).await.unwrap().note);
    }
    Scene { database, key, saved }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_half_old_and_half_new_verifies() {
    let scene = half_and_half().await;
    let forms: Vec<i16> = sqlx::query_scalar("SELECT leaf_form FROM audit_batches ORDER BY created_at, id")
        .fetch_all(&scene.database.pool)
        .await
        .unwrap();
    assert_eq!(forms, [1, 2]);
    let (findings, report) = scene.database.verify(Some(scene.key.public()), &scene.saved).await;
    assert!(findings.is_empty() && report.rows == 6, "{findings:#?}");
    if let Some(found) = independent::trail(&scene) {
        assert_eq!((&found["problems"], &found["rows"]), (&json!([]), &json!(6)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_the_first_form_has_no_row_with_a_key_whatever_its_digest() {
    let scene = half_and_half().await;
    // Consistent in all but the form: the tree does not cover the batch any more.
    as_superuser(&scene.database.pool, "DELETE FROM audit_checkpoints; DELETE FROM audit_tree").await;
    scene.database.is_unharmed().await;
    as_superuser(&scene.database.pool, "UPDATE audit_batches SET leaf_form = 1").await;
    let (findings, _) = scene.database.verify(None, &[]).await;
    let altered = findings.iter().filter(|finding| finding.kind == FindingKind::Altered);
    assert_eq!(altered.clone().count(), 4, "{findings:#?}");
    assert!(altered.clone().all(|finding| finding.text.contains("first form")), "{findings:#?}");
    if let Some(found) = independent::trail(&scene) {
        assert_eq!(found["problems"].as_array().unwrap().len(), 4, "{found:#}");
    }
    // A row without one of them has the same digest in both forms.
    as_superuser(&scene.database.pool, "UPDATE audit_batches SET leaf_form = 2").await;
    scene.database.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_not_known_is_a_problem_and_not_a_pass() {
    let scene = half_and_half().await;
    as_superuser(&scene.database.pool, "DELETE FROM audit_checkpoints; DELETE FROM audit_tree").await;
    for form in [-1, 0, 3] {
        as_superuser(&scene.database.pool, &format!("UPDATE audit_batches SET leaf_form = {form}")).await;
        let (findings, report) = scene.database.verify(None, &[]).await;
        let told = findings.iter().filter(|finding| finding.kind == FindingKind::BatchAltered);
        assert!(told.clone().count() == 2 && report.rows == 0, "{findings:#?}");
        assert!(told.clone().all(|finding| finding.text.contains(&format!("form {form}"))), "{findings:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_covers_the_form_where_it_is_not_the_first() {
    let scene = half_and_half().await;
    for form in ["3 - leaf_form", "leaf_form + 2"] {
        as_superuser(&scene.database.pool, &format!("UPDATE audit_batches SET leaf_form = {form}")).await;
        let (findings, _) = scene.database.verify(Some(scene.key.public()), &scene.saved).await;
        let altered = findings.iter().filter(|finding| finding.text.contains("is not what was put into the tree"));
        assert_eq!(altered.count(), 2, "{form}: {findings:#?}");
        let back = if form.starts_with('3') { "3 - leaf_form" } else { "leaf_form - 2" };
        as_superuser(&scene.database.pool, &format!("UPDATE audit_batches SET leaf_form = {back}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_cover_the_columns_and_the_form() {
    let scene = half_and_half().await;
    let query = "SELECT id FROM audit_events WHERE tenant = 'acme' AND targets IS NOT NULL";
    let id: Uuid = sqlx::query_scalar(query).fetch_one(&scene.database.pool).await.unwrap();
    let json = scene.database.admin().prove(id).await.unwrap().to_json().unwrap();
    Proof::from_json(&json).unwrap().verify(scene.key.public()).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut proof: Value = serde_json::from_str(&json).unwrap();
        change(&mut proof);
        assert_ne!(proof, serde_json::from_str::<Value>(&json).unwrap());
        Proof::from_json(&proof.to_string()).unwrap().verify(scene.key.public())
    };
    for forged in [
        changed(&|proof| proof["event"]["tenant"] = json!("globex")),
        changed(&|proof| proof["event"]["tenant"] = Value::Null),
        changed(&|proof| proof["event"]["entity_key"] = json!("42")),
        changed(&|proof| proof["event"]["targets"][0]["key"] = json!("y")),
        changed(&|proof| drop(proof["event"].as_object_mut().unwrap().remove("targets"))),
        changed(&|proof| proof["batch"]["leaf_form"] = json!(1)),
        changed(&|proof| proof["batch"]["leaf_form"] = json!(3)),
        changed(&|proof| drop(proof["batch"].as_object_mut().unwrap().remove("leaf_form"))),
    ] {
        assert!(forged.is_err());
    }
    let plain = "SELECT id FROM audit_events WHERE tenant IS NULL AND targets IS NULL AND entity_key IS NULL LIMIT 1";
    let id: Uuid = sqlx::query_scalar(plain).fetch_one(&scene.database.pool).await.unwrap();
    let proof = scene.database.admin().prove(id).await.unwrap().to_json().unwrap();
    assert!(!proof.contains("tenant") && !proof.contains("targets"), "{proof}");
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_keep_the_columns_and_holds_go_by_key_and_by_further_entity() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let time = "2024-05-04T09:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    for event in events() {
        audit.record_at(event, time).unwrap();
    }
    audit.record_at(Event::new("b.thing").entity("account", 42), time).unwrap();
    audit.record_at(Event::new("c.thing").data(&json!({"account_id": 42})), time).unwrap();
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    database.admin().make_partitions(|_| {}).await.unwrap();
    let key = SigningKey::generate("audit.example.com/test").unwrap();
    database.admin().checkpoint(&key).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("archive.ndjson");
    let before = "2024-06-01T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let prune = Prune::new(before).archive(&archive).hold("account", 42);
    let report = database.admin().prune(&prune, |_| {}).await.unwrap();
    assert_eq!(report.rows, 4, "{report:?}");
    let held: Vec<String> =
        sqlx::query_scalar("SELECT event_type FROM audit_events WHERE created_at < $1 ORDER BY event_type")
            .bind(before)
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(held, ["a.thing", "b.thing", "c.thing"], "about it, by further entity, and by data");
    database.is_unharmed().await;
    let lines = std::fs::read_to_string(&archive).unwrap();
    assert!(lines.contains(r#""entity_key":"INV-1""#) && lines.contains(r#""tenant":"acme""#), "{lines}");
    for line in lines.lines() {
        let proof = database.admin().prove_archived(line).await.unwrap();
        proof.verify(key.public()).unwrap();
        let forged = line.replace("\"acme\"", "\"globex\"");
        assert!(forged == line || database.admin().prove_archived(&forged).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_know_the_second_form_seals_nothing_by_the_first() {
    let database = Database::new().await;
    let id = Uuid::now_v7();
    let insert = format!(
        "INSERT INTO audit_events (id, event_type, entity_type, tenant, created_at) VALUES ('{id}', 'a.b', 'a', 'acme', '2026-05-04')"
    );
    sqlx::query(AssertSqlSafe(insert)).execute(&database.pool).await.unwrap();
    let batch = Uuid::now_v7();
    // As version 5 does it, whatever the digest.
    let late = format!(
        "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, root, leaves) VALUES \
         ('{batch}', '{nil}', 0, 1, 1, 'sealed late', sha256(''), decode(repeat('00', 48), 'hex')); \
         INSERT INTO audit_late (event_id, created_at, batch_id) VALUES ('{id}', '2026-05-04', '{batch}')",
        nil = Uuid::nil()
    );
    // One message is one transaction.
    let error = sqlx::raw_sql(AssertSqlSafe(late)).execute(&database.pool).await.unwrap_err().to_string();
    assert!(error.contains("use a newer audit-trail"), "{error}");
    assert_eq!(database.count("SELECT count(*) FROM audit_batches").await, 0);
    let key = SigningKey::generate("test").unwrap();
    assert_eq!(database.admin().checkpoint(&key).await.unwrap().sealed_late, 1);
    database.is_unharmed().await;
    let number = "INSERT INTO audit_tree (number, batch_id, leaf) SELECT 1, id, sha256('') FROM audit_batches";
    as_superuser(&database.pool, "DELETE FROM audit_tree").await;
    let error = sqlx::raw_sql(number).execute(&database.pool).await.unwrap_err().to_string();
    assert!(error.contains("use a newer audit-trail"), "{error}");
}
