//! `migrate --check`, `--sql`, `--with`, `--tenant`, and `partitions --compact`.

use crate::{command, indexes, is_as_new, run};
use sqlx::{AssertSqlSafe, Executor};
use std::io::Write;
use std::process::{Command, Stdio};
use tests::{Database, before};

#[tokio::test]
async fn check_lists_what_is_left_and_takes_no_step() {
    let database = before::version_5().await;
    let before = indexes(&database, "audit_events").await;
    let (code, listed, told) = run(&database, &["migrate", "--check"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains(" steps are pending: audit-trail migrate takes them"), "{told}");
    for line in [
        "version 6, keys, ",
        "index audit_events_default_entity_bucket",
        "the primary key exchanged, 9 old indexes dropped",
    ] {
        assert!(listed.contains(line), "{listed}");
    }
    assert_eq!(indexes(&database, "audit_events").await, before);
    let (code, status, _) = run(&database, &["status"]);
    assert!(
        code == 0 && status.contains("its version is 5") && status.contains("of its indexes are pending"),
        "{status}"
    );
    assert_eq!(run(&database, &["migrate"]).0, 0);
    assert_eq!(run(&database, &["migrate", "--check"]), (0, "the audit schema is up to date\n".into(), String::new()));
    is_as_new(&database).await;
}

/// Runs a script by psql; `None` where it is not installed.
fn psql(database: &Database, script: &str) -> Option<()> {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &database.url]).stdin(Stdio::piped());
    let Ok(mut psql) = psql.spawn() else {
        eprintln!("left out: psql is not installed");
        return None;
    };
    psql.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(psql.wait().unwrap().success());
    Some(())
}

#[tokio::test]
async fn the_script_of_a_migration_does_the_same() {
    for database in [Database::empty().await, before::version_5().await] {
        let (code, script, told) = run(&database, &["migrate", "--sql"]);
        assert_eq!((code, told.as_str()), (0, ""));
        let Some(()) = psql(&database, &script) else { return };
        assert_eq!(
            run(&database, &["migrate", "--check"]),
            (0, "the audit schema is up to date\n".into(), String::new())
        );
        assert_eq!(run(&database, &["migrate", "--sql"]), (0, String::new(), String::new()));
        is_as_new(&database).await;
        // The books are those of the migrator.
        before::migrator().await.run(&database.pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_role_without_rights_migrates_where_nothing_is_left() {
    let database = Database::new().await;
    let name: String =
        sqlx::query_scalar("SELECT current_database() || '_none'").fetch_one(&database.pool).await.unwrap();
    database.pool.execute(AssertSqlSafe(format!("CREATE ROLE \"{name}\" LOGIN"))).await.unwrap();
    let url = database.url.replace("postgres://postgres@", &format!("postgres://{name}@"));
    for (arguments, expected) in [
        (&["migrate"][..], "the audit schema is up to date\n"),
        (&["migrate", "--check"], "the audit schema is up to date\n"),
    ] {
        let output = command(&database, arguments).env("DATABASE_URL", &url).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), String::from_utf8(output.stdout).unwrap().as_str()),
            (Some(0), expected),
            "{told}"
        );
    }
    // Where something is left, it lacks the right, and may still ask.
    let older = before::version_5().await;
    let url = older.url.replace("postgres://postgres@", &format!("postgres://{name}@"));
    let output = command(&older, &["migrate"]).env("DATABASE_URL", &url).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && told.contains("permission denied"), "{told}");
    let output = command(&older, &["migrate", "--check"]).env("DATABASE_URL", &url).output().unwrap();
    assert!(output.status.code() == Some(1) && output.stdout.starts_with(b"version 6"), "{output:?}");
}

#[tokio::test]
async fn the_indexes_of_a_vocabulary_are_kept_or_made_on_request() {
    for (database, rows) in
        [(before::version_5().await, 40_000), (before::version_5().await, 10), (Database::new().await, 10)]
    {
        before::fill(&database, rows).await;
        let hash = "SELECT count(*) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am a ON a.oid = i.relam \
                    WHERE a.amname = 'hash' AND x.indisvalid";
        let (code, steps, told) = run(&database, &["migrate", "--with", "execution"]);
        assert_eq!(code, 0, "{told}");
        let partitions =
            database.count("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass").await;
        assert_eq!(database.count(hash).await, 2 * (partitions + 1), "{steps}");
        assert_eq!(run(&database, &["migrate", "--check", "--with", "execution"]).0, 0);
        assert_eq!(run(&database, &["migrate"]).0, 0);
        assert_eq!(database.count(hash).await, 2 * (partitions + 1), "they stay");
    }
}

#[tokio::test]
async fn months_that_are_over_are_packed_once() {
    let database = Database::new().await;
    let months = "CREATE TABLE audit_events_2020_01 PARTITION OF audit_events FOR VALUES FROM ('2020-01-01 00:00:00+00') TO ('2020-02-01 00:00:00+00'); \
                  CREATE INDEX audit_events_2020_01_started ON audit_events_2020_01 (batch_id) WHERE outcome = 'started'; \
                  INSERT INTO audit_events (id, event_type, entity_type, entity_id, created_at) SELECT gen_random_uuid(), 'a.b', 'a', gen_random_uuid(), \
                  '2020-01-02 00:00:00+00'::timestamptz + n * interval '1 second' FROM generate_series(1, 20000) n";
    database.pool.execute(sqlx::raw_sql(months)).await.unwrap();
    let size = "SELECT pg_indexes_size('audit_events_2020_01')::bigint";
    let before = database.count(size).await;
    let (code, steps, told) = run(&database, &["partitions", "--compact"]);
    assert!(
        code == 0 && steps.contains("audit_events_2020_01: indexes of ") && steps.ends_with(" saved\n"),
        "{steps}{told}"
    );
    let after = database.count(size).await;
    assert!(after < before * 9 / 10, "{before} {after}");
    assert!(indexes(&database, "audit_events_2020_01").await.iter().all(|index| !index.contains("'started'")));
    let again = run(&database, &["partitions", "--compact"]);
    assert_eq!(again.1, "the indexes of all months that are over are packed already\n");
    // The other partitions have theirs, and a migration makes none anew but those that every partition needs.
    assert!(indexes(&database, "audit_events_default").await.iter().any(|index| index.contains("'started'")));
    database.admin().migrate().await.unwrap();
    assert!(indexes(&database, "audit_events_2020_01").await.iter().all(|index| !index.contains("'started'")));
    is_as_new(&database).await;
}

#[tokio::test]
async fn a_tenant_is_assigned_to_a_role_that_may_read_nothing_else() {
    let database = Database::new().await;
    let name: String = sqlx::query_scalar("SELECT current_database() || '_t'").fetch_one(&database.pool).await.unwrap();
    for wrong in ["acme", "=acme", "role="] {
        assert_eq!(run(&database, &["migrate", "--tenant", wrong]).0, 2);
    }
    let (code, _, told) = run(&database, &["migrate", "--tenant", &format!("{name}=acme")]);
    assert!(code == 1 && told.contains("CREATE ROLE"), "{told}");
    database.pool.execute(AssertSqlSafe(format!("CREATE ROLE {name} LOGIN NOINHERIT"))).await.unwrap();
    for tenant in ["acme", "globex=1"] {
        let (code, steps, told) = run(&database, &["migrate", "--tenant", &format!("{name}={tenant}")]);
        assert!(code == 0 && steps.contains(&format!("{name} reads tenant {tenant}")), "{told}");
    }
    assert_eq!(database.count("SELECT count(*) FROM audit_tenants WHERE tenant = 'globex=1'").await, 1);
    // A role by which it could read everything, even if only by SET ROLE.
    let reader =
        format!("CREATE ROLE {name}_all; GRANT SELECT ON audit_events TO {name}_all; GRANT {name}_all TO {name}");
    database.pool.execute(sqlx::raw_sql(AssertSqlSafe(reader))).await.unwrap();
    let (code, _, told) = run(&database, &["migrate", "--tenant", &format!("{name}=acme")]);
    assert!(code == 1 && told.contains("may read audit_events"), "{told}");
    assert_eq!(database.count("SELECT count(*) FROM audit_tenants WHERE tenant = 'acme'").await, 0);
    // An owner or superuser as well.
    assert_eq!(run(&database, &["migrate", "--tenant", "postgres=acme"]).0, 1);
}
