//! Programs of older versions beside this one: they work with what they know, and are refused where they would corrupt.

use crate::{command, is_as_new};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use std::path::PathBuf;
use std::process::Command;
use tests::{Database, before};

const ROWS: &str = "INSERT INTO audit_events (id, event_type, entity_type, created_at, tenant) VALUES \
     ('00000000-0000-0000-0000-000000000001', 'a.b', 'a', '2026-01-01 00:00:00+00', NULL), \
     ('00000000-0000-0000-0000-000000000002', 'a.b', 'a', '2026-01-01 00:00:00+00', 'acme')";

/// A batch of a form, and the statement by which it seals a row.
fn sealed(batch: u8, form: u8, row: u8) -> [String; 2] {
    let id = format!("00000000-0000-0000-0000-0000000000b{batch}");
    [
        format!(
            "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, previous_position, root, leaves, leaf_form) \
             VALUES ('{id}', '00000000-0000-0000-0000-000000000000', {batch}, {batch} + 1, 1, 'sealed late', {batch} - 1, sha256('x'), \
             decode(repeat('00', 48), 'hex'), {form})"
        ),
        format!(
            "INSERT INTO audit_late (event_id, created_at, batch_id) \
             VALUES ('00000000-0000-0000-0000-00000000000{row}', '2026-01-01 00:00:00+00', '{id}')"
        ),
    ]
}

async fn refused(connection: &mut PgConnection, sql: &str) -> String {
    let error = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))).await.expect_err(sql);
    assert_eq!(error.as_database_error().and_then(|error| error.code()).as_deref(), Some("0A000"), "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_sealer_that_does_not_know_the_new_columns_is_refused() {
    let database = Database::new().await;
    database.pool.execute(ROWS).await.unwrap();
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    // A row without them is sealed as before, one with them by form 2 alone.
    for (batch, form, row, accepted) in [(1, 1, 1, true), (2, 1, 2, false), (3, 2, 2, true)] {
        let [insert, seal] = sealed(batch, form, row);
        connection.execute(sqlx::AssertSqlSafe(insert)).await.unwrap();
        if accepted {
            connection.execute(sqlx::AssertSqlSafe(seal)).await.unwrap();
        } else {
            let told = refused(&mut connection, &seal).await;
            assert!(told.contains("which this program cannot seal: use a newer audit-trail"), "{told}");
        }
    }
    // The tree takes a batch of form 2 from a session that knows it.
    let tree = |batch: u8| {
        format!("INSERT INTO audit_tree VALUES ({batch}, '00000000-0000-0000-0000-0000000000b{batch}', sha256('leaf'))")
    };
    connection.execute(sqlx::AssertSqlSafe(tree(1))).await.unwrap();
    for known in ["", "SET audit.leaf_form = '1'; ", "SET audit.leaf_form = 'x'; ", "SET audit.leaf_form = ''; "] {
        let told = refused(&mut connection, &format!("{known}{}", tree(3))).await;
        assert!(told.contains("of a form that this program does not know: use a newer audit-trail"), "{told}");
    }
    let known = format!("SET audit.leaf_form = '2'; {}", tree(3));
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(known))).await.unwrap();
}

#[tokio::test]
async fn a_program_that_copies_fourteen_columns_cannot_move_rows() {
    let database = Database::new().await;
    // The first statements of version 5 and of the revision before.
    for sql in ["CREATE TABLE audit_moving (LIKE audit_events INCLUDING ALL)", "DROP TABLE IF EXISTS audit_moving"] {
        assert!(database.pool.execute(sql).await.is_err(), "{sql}");
    }
    assert_eq!(database.count("SELECT count(*) FROM audit_moving WHERE reason LIKE '%use a newer one%'").await, 1);
    let row = "INSERT INTO audit_events (id, event_type, entity_type, created_at, tenant, entity_key, targets) \
               VALUES (gen_random_uuid(), 'a.b', 'a', '2024-05-01 00:00:00+00', 'acme', '42', '[]')";
    database.pool.execute(row).await.unwrap();
    database.admin().make_partitions(|_| {}).await.unwrap();
    let moved =
        "SELECT count(*) FROM audit_events_2024_05 WHERE tenant = 'acme' AND entity_key = '42' AND targets = '[]'";
    assert_eq!(database.count(moved).await, 1);
    assert_eq!(database.admin().schema_problems().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn version_5_is_amended_where_an_attempt_to_move_rows_was_interrupted() {
    let database = before::version_5().await;
    let left = "CREATE TABLE audit_moving (LIKE audit_events INCLUDING ALL); \
                COMMENT ON TABLE audit_moving IS 'audit-trail: an attempt to move rows'";
    database.pool.execute(sqlx::raw_sql(left)).await.unwrap();
    database.admin().migrate().await.unwrap();
    is_as_new(&database).await;
    database.admin().make_partitions(|_| {}).await.unwrap();
    assert_eq!(
        database.count("SELECT count(*) FROM pg_class WHERE relname = 'audit_moving' AND relkind = 'v'").await,
        1
    );
}

/// The programs that `scripts/old-revision.sh` makes.
fn old(name: &str) -> Option<PathBuf> {
    let program = std::env::var_os(name).map(PathBuf::from);
    if program.is_none() {
        eprintln!("left out: scripts/old-revision.sh runs it, which compiles an old revision");
    }
    program
}

#[tokio::test]
async fn the_old_command_works_beside_this_one_and_corrupts_nothing() {
    let Some(old) = old("AUDIT_OLD_COMMAND") else { return };
    let database = Database::new().await;
    let asked = |arguments: &[&str]| {
        let output = Command::new(&old).args(arguments).env("DATABASE_URL", &database.url).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    };
    let (done, text) = asked(&["migrate"]);
    assert!(done, "{text}");
    is_as_new(&database).await;
    database
        .pool
        .execute("INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.b', 'a')")
        .await
        .unwrap();
    let key = database.journals.path().join("key");
    let key = key.to_str().unwrap();
    let mut new_key = command(&database, &["checkpoint", "--key", key, "--new-key", "audit.example.com/test"]);
    assert!(new_key.output().unwrap().status.success());
    let (done, text) = asked(&["checkpoint", "--key", key]);
    assert!(done, "{text}");
    let (done, text) = asked(&["events"]);
    assert!(done && text.contains("a.b"), "{text}");
    // Rows that it cannot see whole.
    database.pool.execute(ROWS).await.unwrap();
    let (done, text) = asked(&["checkpoint", "--key", key]);
    assert!(!done && text.contains("use a newer audit-trail"), "{text}");
    let (done, text) = asked(&["partitions"]);
    assert!(!done && text.contains("audit_moving"), "{text}");
    assert_eq!(database.count("SELECT count(*) FROM audit_events WHERE tenant = 'acme'").await, 1);
    is_as_new(&database).await;
    database.is_unharmed().await;
}
