//! Holds are added, listed and lifted, and each of that is an event.

use crate::scene::{Scene, as_superuser, last_month};
use audit_runtime::DatabaseErrorKind;
use audit_runtime::admin::{Admin, Hold, HoldError, Prune, PruneError, Role};
use audit_runtime::evidence::FindingKind;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};
use tests::Database;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_remembered_and_every_change_of_it_is_an_event() {
    let scene = Scene::new().await;
    let admin = scene.database.admin().actor("legal");
    let hold = Hold::new().entity("customer", 42).event("customer.*").tenant("acme").actor("ann");
    let added = admin.add_hold(&hold, "case 17").await.unwrap();
    assert!(added.is_new && added.events == Some(1), "{added:?}");
    let again = admin.add_hold(&hold, "another reason").await.unwrap();
    assert_eq!((again.is_new, again.id), (false, added.id));
    let other = admin.add_hold(&Hold::new().entity("customer", "42"), "case 18").await.unwrap();
    assert!(other.is_new, "fewer conditions are another hold");
    assert_eq!(admin.add_hold(&Hold::new().entity("customer", 42), "x").await.unwrap().id, other.id, "the same key");
    let listed = admin.holds(false).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].scope, "customer:42, events customer.*, tenant acme, actor ann");
    assert_eq!((listed[0].reason.as_str(), listed[0].actor.as_str()), ("case 17", "legal"));
    assert_eq!(
        (&listed[0].lifted, listed[1].events),
        (
            &None,
            Some(scene.count("data ->> 'customer_id' = '42' OR entity_key = '42' AND entity_type = 'customer'").await)
        )
    );
    admin.lift_hold(added.id, "closed").await.unwrap();
    let lifted = admin.lift_hold(added.id, "closed").await.unwrap_err();
    assert!(matches!(&lifted, HoldError::Lifted { by, .. } if by == "legal"), "{lifted}");
    assert_eq!(admin.holds(false).await.unwrap().len(), 1);
    let all = admin.holds(true).await.unwrap();
    let end = all[0].lifted.as_ref().unwrap();
    assert_eq!((end.by.as_str(), end.reason.as_str()), ("legal", "closed"));
    assert!(admin.add_hold(&hold, "reopened").await.unwrap().is_new, "a hold that was lifted is none");
    let events: Vec<(String, String, Value)> =
        sqlx::query_as("SELECT event_type, actor, data - 'database_user' FROM audit_events WHERE event_type IN ('audit.held', 'audit.released') ORDER BY created_at")
            .fetch_all(&scene.database.pool)
            .await
            .unwrap();
    let types: Vec<&str> = events.iter().map(|(kind, ..)| kind.as_str()).collect();
    assert_eq!(types, ["audit.held", "audit.held", "audit.released", "audit.held"]);
    assert_eq!(events[0].2["entity_key"], "42");
    assert_eq!((&events[2].1, &events[2].2), (&"legal".to_owned(), &json!({"hold": added.id, "reason": "closed"})));
    scene.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_without_a_condition_or_a_reason_is_refused() {
    let database = Database::new().await;
    let admin = database.admin();
    for (hold, reason, said) in [
        (Hold::new(), "case", "would keep every event"),
        (Hold::new().entity("customer", None::<i64>), "case", "is empty"),
        (Hold::new().event("a.*").tenant(None::<&str>), "case", "is empty"),
        (Hold::new().event("a.*"), " \n", "reason is empty"),
    ] {
        let error = admin.add_hold(&hold, reason).await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let error = admin.lift_hold(Uuid::nil(), "closed").await.unwrap_err();
    assert!(matches!(error, HoldError::Unknown(_)), "{error}");
    assert!(matches!(admin.lift_hold(Uuid::nil(), "").await, Err(HoldError::NoReason)));
    // What PostgreSQL does not store, and what a pattern would take for its own.
    let odd = Hold::new().event("a\0%_\\'").actor("\"; DROP TABLE audit_holds; --");
    admin.add_hold(&odd, "a\0b").await.unwrap();
    database
        .pool
        .execute("INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'axyz', 'a')")
        .await
        .unwrap();
    assert_eq!(admin.holds(false).await.unwrap()[0].events, Some(0));
    assert_eq!(database.count("SELECT count(*) FROM audit_holds").await, 1);
    database.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_add_the_same_hold_add_one() {
    let database = Database::new().await;
    let hold = Hold::new().entity("customer", 42);
    let admin = database.admin();
    let added = futures_util::future::join_all((0..4).map(|_| admin.add_hold(&hold, "case 17"))).await;
    let added: Vec<_> = added.into_iter().map(Result::unwrap).collect();
    assert_eq!(added.iter().filter(|added| added.is_new).count(), 1);
    assert!(added.iter().all(|one| one.id == added[0].id));
    assert_eq!(database.events_of("audit.held").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_holds_and_the_owner_alone_changes_them() {
    let database = Database::new().await;
    let name: String =
        sqlx::query_scalar("SELECT current_database() || '-reader'").fetch_one(&database.pool).await.unwrap();
    database.pool.execute(AssertSqlSafe(format!("CREATE ROLE \"{name}\" LOGIN"))).await.unwrap();
    database.admin().grant(Role::Reader, &name).await.unwrap();
    let id = database.admin().add_hold(&Hold::new().event("a.*"), "case 17").await.unwrap().id;
    let url = database.url.replace("postgres://postgres@", &format!("postgres://{name}@"));
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let reader = Admin::new(pool.clone());
    assert_eq!(reader.holds(false).await.unwrap().len(), 1);
    for refused in [
        reader.add_hold(&Hold::new().event("b.*"), "case 18").await.unwrap_err(),
        reader.lift_hold(id, "closed").await.unwrap_err(),
    ] {
        let HoldError::Database(error) = refused else { panic!("{refused}") };
        assert_eq!(error.kind(), DatabaseErrorKind::NotAllowed, "{error}");
    }
    let problems = database.admin().inspect_rights(&[(Role::Reader, &name)]).await.unwrap();
    assert!(problems.iter().all(|problem| problem.role != name), "{problems:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_changed_by_hand_is_refused_or_found() {
    let scene = Scene::new().await;
    let id = scene.hold(Hold::new().entity("customer", 100)).await;
    scene.is_unharmed().await;
    let lift =
        format!("UPDATE audit_holds SET lifted_at = now(), lifted_by = 'eve', lift_reason = 'x' WHERE id = '{id}'");
    let event = |id: Uuid, when: &str| {
        format!(
            "INSERT INTO audit_events (id, event_type, entity_type, actor, data, created_at) VALUES (gen_random_uuid(), 'audit.released', 'audit', \
             'eve', '{{\"hold\": \"{id}\", \"reason\": \"x\"}}', {when})"
        )
    };
    for sql in [
        lift.clone(),
        format!("{}; {lift}", event(Uuid::nil(), "now()")),
        format!("{}; {lift}", event(id, "now() - interval '1 s'")),
        format!("{}; UPDATE audit_holds SET reason = 'x' WHERE id = '{id}'", event(id, "now()")),
        format!(
            "{}; UPDATE audit_holds SET lifted_at = now(), lifted_by = 'eve', lift_reason = 'x', tenant = 'none' WHERE id = '{id}'",
            event(id, "now()")
        ),
        "DELETE FROM audit_holds".to_owned(),
        "TRUNCATE audit_holds".to_owned(),
    ] {
        assert_eq!(scene.owner(&sql).await.as_deref(), Some("42501"), "{sql}");
    }
    let pool = &scene.database.pool;
    pool.execute("CREATE TABLE kept AS TABLE audit_holds").await.unwrap();
    for sql in [
        lift.as_str(),
        "DELETE FROM audit_holds",
        "UPDATE audit_holds SET entity_key = '99'",
        "UPDATE audit_holds SET reason = 'another'",
        "UPDATE audit_holds SET actor = 'another'",
        "UPDATE audit_holds SET tenant = 'none'",
        "INSERT INTO audit_holds (id, tenant, reason, actor) VALUES (gen_random_uuid(), 'acme', 'x', 'x')",
    ] {
        as_superuser(pool, sql).await;
        let found = scene.of_kind(FindingKind::HoldChanged).await;
        assert!(!found.is_empty() && found.iter().all(|finding| finding.is_problem()), "{sql}: {found:#?}");
        let refused = scene.database.admin().prune(&Prune::new(last_month()), |_| {}).await.unwrap_err();
        assert!(matches!(refused, PruneError::Problems(_)), "{sql}: {refused}");
        as_superuser(pool, "DELETE FROM audit_holds; INSERT INTO audit_holds TABLE kept").await;
    }
    scene.is_unharmed().await;
}
