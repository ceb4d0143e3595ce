//! `audit-trail policy check`, and events that a policy was about.

use crate::{ran, run};
use audit_runtime::{Event, audited};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tests::Database;
use tests::examples::audit_trail;

const POLICY: &str = "
[[rule]]
name = 'probes'
event = '*.probed'
level = 'none'

[[rule]]
name = 'views'
event = 'account.viewed'
once_per = '1h'

[[rule]]
name = 'imports'
event = 'import.*'
level = 'metadata'
sample = 0.5
";

fn file(directory: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = directory.path().join("policy.toml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_file_is_explained_without_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        let mut command = Command::new(audit_trail());
        command.args(["policy", "check"]).arg(file(&directory, text)).env_remove("DATABASE_URL");
        ran(command)
    };
    let checked = check(POLICY);
    assert_eq!(
        (checked.code, checked.stdout.as_str(), checked.stderr.as_str()),
        (
            0,
            "probes: events of type *.probed: not recorded\n\
             views: events of type account.viewed: recorded in full, once per 1h for each type, entity, actor and tenant\n\
             imports: events of type import.*: recorded without arguments, result and error text, for a share of 0.5 of all correlations\n\
             all other events: recorded in full\n\
             always recorded: failures, calls with required or tx, record_in, and the library's own events\n",
            ""
        )
    );
    let invalid = check("[[rule]]\nlevel = 'non'");
    assert_eq!((invalid.code, invalid.stdout.as_str()), (2, ""));
    assert!(invalid.stderr.contains("line 2 of the policy is invalid"), "{}", invalid.stderr);
    let shadowed = check("[[rule]]\nname = 'all'\nlevel = 'none'\n[[rule]]\nevent = 'a.b'");
    assert!(shadowed.stderr.contains("the rules behind all are never reached"), "{}", shadowed.stderr);
}

#[tokio::test]
async fn the_last_day_is_counted_by_rule() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let rows = "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, outcome, created_at, correlation_id) \
                SELECT gen_random_uuid(), t.event_type, 'account', '00000000-0000-7000-8000-000000000001', 'kim', t.outcome, \
                       now() - t.hours * interval '1 hour', gen_random_uuid() \
                FROM (VALUES ('desk.probed', 'ok', 1.0), ('desk.probed', 'error', 2.0), ('account.viewed', 'ok', 5.0), \
                             ('account.viewed', 'ok', 4.5), ('account.viewed', 'started', 3.1), ('account.viewed', 'ok', 3.0), ('order.sent', 'ok', 1.0), \
                             ('order.sent', 'ok', 30.0)) AS t (event_type, outcome, hours)";
    sqlx::raw_sql(rows).execute(&database.pool).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, POLICY);
    let checked = run(&database, &["policy", "check", path.to_str().unwrap(), "--against"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{}", checked.stdout);
    let (_, counted) = checked.stdout.split_once("\n\n").unwrap();
    assert_eq!(
        counted,
        "6 events of the last day, of which 4 would have been kept (66.7 %)\n\
         probes             2          1 kept   50.0 %\n\
         views              3          2 kept   66.7 %\n\
         imports            0          0 kept        -\n\
         (no rule)          1          1 kept  100.0 %\n"
    );
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[audited(event = "request.served", id = none)]
async fn serve() {
    for account_id in [7, 7, 8] {
        let _ = view(account_id).await;
    }
}

#[audited(event = "account.viewed", id = account_id, err = "account.hidden")]
async fn view(account_id: u64) -> Result<(), String> {
    if account_id > 7 { Err("closed".into()) } else { Ok(()) }
}

#[tokio::test]
async fn a_cause_that_was_left_out_is_shown_as_not_recorded_by_its_rule() {
    let database = Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let policy = "[[rule]]\nname = 'served'\nevent = 'request.*'\nlevel = 'none'\n\
                  [[rule]]\nname = 'views'\nevent = 'account.viewed'\nlevel = 'metadata'";
    let audit = database.audit().policy(file(&directory, policy)).start().unwrap();
    audit.scope(serve()).await;
    audit.record(Event::new("order.sent")).unwrap();
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    let shown = run(&database, &["events", "--output", "timeline"]);
    let lines: Vec<_> = shown.stdout.lines().filter(|line| line.contains("not recorded (rule")).collect();
    assert_eq!(lines.len(), 1, "once for all effects: {}", shown.stdout);
    assert!(lines[0].trim() == "not recorded (rule served)", "{}", shown.stdout);
    assert_eq!(shown.stdout.matches("  account.viewed").count(), 2, "{}", shown.stdout);
    assert_eq!(shown.stdout.matches("metadata only (rule views)").count(), 2, "{}", shown.stdout);
    assert!(shown.stdout.contains("error=closed") && !shown.stdout.contains("$policy"), "{}", shown.stdout);
    let id: uuid::Uuid = sqlx::query_scalar("SELECT id FROM audit_events WHERE event_type = 'account.hidden'")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    let event = run(&database, &["event", &id.to_string(), "--output", "timeline"]);
    assert!(event.stdout.contains("was not recorded (rule served)"), "{}", event.stdout);
}
