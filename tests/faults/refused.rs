//! Rows that PostgreSQL refuses: isolated, kept with their bytes, listed and tried again.

use audit_runtime::admin::{Admin, RetryOutcome};
use audit_runtime::{Event, MasterKey, Timestamp, audited};
use serde_json::json;
use std::process::{Command, Output};
use std::time::Duration;
use tests::examples::audit_trail;
use tests::{Cluster, Config, Database, eventually};
use uuid::Uuid;

#[audited(event = "order.submitted", id = None::<Uuid>)]
fn submit(number: u32) {}

async fn execute(database: &Database, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
}

fn run(database: &Database, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(audit_trail()).args(arguments).env("DATABASE_URL", &database.url).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[tokio::test]
async fn many_among_many_are_isolated_and_can_be_tried_again() {
    let database = Database::new().await;
    // As users have them: a check, a trigger of their own, a partition with a mind of its own.
    execute(
        &database,
        "ALTER TABLE audit_events ADD CONSTRAINT no_thirteens CHECK ((data->>'number')::int % 100 <> 13)",
    )
    .await;
    execute(
        &database,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not on my watch'; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON audit_events FOR EACH ROW WHEN ((NEW.data->>'number')::int % 100 = 77) \
         EXECUTE FUNCTION refuse(); \
         CREATE FUNCTION refuse_by_code() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN RAISE EXCEPTION 'by our own code' USING ERRCODE = 'U0001'; END $$; \
         CREATE TRIGGER refuse_by_code BEFORE INSERT ON audit_events FOR EACH ROW WHEN (NEW.event_type = 'order.coded') \
         EXECUTE FUNCTION refuse_by_code()",
    )
    .await;
    execute(&database, "ALTER TABLE audit_events_default ADD CONSTRAINT nothing_old CHECK (false) NOT VALID").await;
    let audit = database.audit().start().unwrap();
    audit.scope(async { (0..2_000).for_each(submit) }).await;
    let old: Timestamp = "2001-01-01T00:00:00Z".parse().unwrap();
    audit.record_at(Event::new("order.remembered").data(&json!({"number": 1})), old).unwrap();
    audit.record(Event::new("order.coded")).unwrap();
    audit.flush().await.unwrap();
    let stats = audit.stats();
    assert_eq!((stats.recorded, stats.stored, stats.quarantined), (2_002, 2_002, 42));
    assert_eq!(database.events().await, 1_960);

    let quarantine = Admin::new(database.pool.clone());
    let refused = quarantine.quarantine().await.unwrap();
    assert_eq!(refused.len(), 42);
    let of = |state: &str| refused.iter().filter(|row| row.sqlstate.as_deref() == Some(state)).count();
    assert_eq!((of("23514"), of("P0001"), of("U0001")), (21, 20, 1));
    let first = refused.iter().find(|row| row.error.contains("no_thirteens")).unwrap();
    assert_eq!(first.event.as_ref().unwrap().event_type, "order.submitted");
    assert!(
        matches!(quarantine.retry(first.id).await.unwrap(), RetryOutcome::RefusedAgain(error) if error.contains("no_thirteens"))
    );
    assert_eq!(quarantine.retry(Uuid::nil()).await.unwrap(), RetryOutcome::NotFound);

    execute(&database, "ALTER TABLE audit_events DROP CONSTRAINT no_thirteens").await;
    assert_eq!(quarantine.retry(first.id).await.unwrap(), RetryOutcome::Stored);
    assert_eq!(quarantine.retry(first.id).await.unwrap(), RetryOutcome::NotFound, "and only once");
    let batch: Uuid = sqlx::query_scalar("SELECT batch_id FROM audit_events WHERE id = $1")
        .bind(first.id)
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(batch, first.batch_id);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();

    // The command does the rest.
    let (code, stdout, _) = run(&database, &["quarantine", "list"]);
    assert_eq!((code, stdout.lines().count()), (0, 41));
    assert!(
        stdout.contains("order.remembered") && stdout.contains("not on my watch") && stdout.contains("P0001"),
        "{stdout}"
    );
    let (code, stdout, _) = run(&database, &["quarantine", "retry", "--all"]);
    assert_eq!((code, stdout.matches("  stored").count(), stdout.matches("refused again").count()), (1, 19, 22));
    execute(
        &database,
        "DROP TRIGGER refuse ON audit_events; DROP TRIGGER refuse_by_code ON audit_events; ALTER TABLE audit_events_default DROP CONSTRAINT nothing_old",
    )
    .await;
    let (code, stdout, _) = run(&database, &["quarantine", "retry", "--all"]);
    assert_eq!((code, stdout.matches("  stored").count()), (0, 22));
    let (code, stdout, _) = run(&database, &["quarantine", "list"]);
    assert_eq!((code, stdout.as_str()), (1, ""), "nothing is left");
    assert_eq!(database.events().await, 2_002);
    let distinct = "SELECT count(DISTINCT id) FROM audit_events";
    assert_eq!(database.count(distinct).await, 2_002);
}

#[tokio::test]
async fn the_command_migrates_and_says_what_is_wrong() {
    let database = Database::empty().await;
    let (code, _, stderr) = run(&database, &["quarantine", "list"]);
    assert!(code == 1 && stderr.contains("audit-trail migrate"), "{code} {stderr}");
    assert_eq!(run(&database, &["migrate"]).0, 0);
    assert_eq!(run(&database, &["migrate"]).0, 0, "twice in a row");
    assert_eq!(run(&database, &["quarantine", "list"]).0, 1);
    assert_eq!(run(&database, &["quarantine", "retry"]).0, 2);
    assert_eq!(run(&database, &["quarantine", "retry", "no-id"]).0, 2);
    let (code, _, stderr) = run(&database, &["--database-url", "postgres://127.0.0.1:1/x", "migrate"]);
    assert!(code == 3 && stderr.contains("cannot reach the database"), "{code} {stderr}");
}

/// A row that is refused is not the server's fault: the writer does not wait for anything.
#[tokio::test]
async fn a_refusal_is_told_and_holds_up_nobody() {
    let cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    execute(&database, "ALTER TABLE audit_events ADD CHECK (event_type <> 'order.poisoned') NOT VALID").await;
    let audit = database.audit().batch_rows(10).start().unwrap();
    for number in 0..200 {
        let event_type = if number % 10 == 5 { "order.poisoned" } else { "order.accepted" };
        audit.record(Event::new(event_type)).unwrap();
    }
    audit.flush().await.unwrap();
    eventually("it is counted", || async { audit.stats().quarantined == 20 }).await;
    assert_eq!((audit.stats().retries, database.events().await), (0, 180));
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[audited(event = "customer.changed", id = None::<Uuid>, personal(mail), subject = customer)]
fn change(customer: &str, mail: &str) {}

/// A row with personal values that is there already, or that a trigger takes for such, is refused
/// like any other. It was taken for the interruption of a call, and its whole batch was lost.
#[tokio::test]
async fn a_personal_row_that_is_there_already_takes_no_other_with_it() {
    let database = Database::new().await;
    execute(
        &database,
        "CREATE FUNCTION twice() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN RAISE EXCEPTION 'it is there' USING ERRCODE = '23505'; END $$; \
         CREATE TRIGGER twice BEFORE INSERT ON audit_events FOR EACH ROW WHEN (NEW.event_type = 'customer.changed') \
         EXECUTE FUNCTION twice()",
    )
    .await;
    let audit = database.audit().master_key(MasterKey::generate()).start().unwrap();
    audit
        .scope(async {
            (0..10).for_each(submit);
            change("customer:42", "ann@example.com");
            (10..20).for_each(submit);
        })
        .await;
    audit.flush().await.unwrap();
    let stats = audit.stats();
    assert_eq!((stats.stored, stats.quarantined), (21, 1));
    assert_eq!(database.events().await, 20);
    database.is_unharmed().await;
}
