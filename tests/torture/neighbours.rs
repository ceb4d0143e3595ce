//! Interference of others with a trail: triggers that drop rows, roles that forge, programs that
//! begin and end, directories that go away.

use crate::recorder;
use audit_runtime::admin::{Admin, RetryOutcome, Role};
use audit_runtime::sqlx;
use rand::prelude::*;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Drops some rows without a word as long as there is a row in `torture_switch`.
const SWALLOW: &str = "
    CREATE TABLE torture_switch (is_on boolean);
    CREATE FUNCTION torture_swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.event_type = 'call.made' AND (NEW.data->>'number')::bigint % 97 = 0 AND EXISTS (SELECT FROM torture_switch) THEN
            RETURN NULL;
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER torture_swallow BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION torture_swallow();
    CREATE ROLE torture_forger LOGIN";

/// Makes what is needed for all of it.
pub(crate) async fn prepare(pool: &PgPool) {
    sqlx::raw_sql(SWALLOW).execute(pool).await.unwrap();
    Admin::new(pool.clone()).grant(Role::Writer, "torture_forger").await.unwrap();
}

/// Has the trigger drop rows, or no longer.
pub(crate) async fn swallow(url: &str, is_on: bool) {
    let sql = if is_on { "INSERT INTO torture_switch VALUES (true)" } else { "DELETE FROM torture_switch" };
    // The server may have gone meanwhile.
    if let Ok(mut connection) = PgConnection::connect(url).await {
        let _ = sqlx::query(sql).execute(&mut connection).await;
        let _ = connection.close().await;
    }
}

/// Stores the dropped rows that are in the quarantine, and returns how many those were.
pub(crate) async fn retry(url: &str) -> usize {
    let pool = PgPool::connect(url).await.unwrap();
    let quarantine = Admin::new(pool.clone());
    let mut stored = 0;
    for row in quarantine.quarantine().await.unwrap() {
        assert_eq!(quarantine.retry(row.id).await.unwrap(), RetryOutcome::Stored, "{row:?}");
        stored += 1;
    }
    pool.close().await;
    stored
}

/// Another writer's role plants batches where journals continue, and returns how many PostgreSQL
/// accepted.
pub(crate) async fn forge(url: &str) -> u64 {
    let url = url.replacen("postgres@", "torture_forger@", 1);
    let Ok(mut connection) = PgConnection::connect(&url).await else { return 0 };
    let journals: Vec<(uuid::Uuid, i64)> = sqlx::query_as(
        "SELECT journal_id, max(end_position) FROM audit_batches GROUP BY 1 ORDER BY max(created_at) DESC LIMIT 5",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap_or_default();
    let mut planted = 0;
    for (journal, end) in journals {
        let sql = format!(
            "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin) \
             VALUES (gen_random_uuid(), '{journal}', {end}, {}, 10, 'forged')",
            end + 100_000
        );
        let forged = sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await;
        planted += forged.map_or(0, |done| done.rows_affected());
    }
    let _ = connection.close().await;
    planted
}

/// Takes a journal's directory away for a moment.
pub(crate) fn hide(journals: &Path, random: &mut StdRng) {
    let directories: Vec<PathBuf> =
        std::fs::read_dir(journals).unwrap().flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    let Some(directory) = directories.choose(random) else { return };
    let aside = journals.parent().unwrap().join("aside");
    if std::fs::rename(directory, &aside).is_ok() {
        std::thread::sleep(Duration::from_millis(random.random_range(0..150)));
        std::fs::rename(&aside, directory).unwrap();
    }
}

/// A program that records a few calls and ends: half of them wait for their events.
pub(crate) fn one_shot(run: usize, url: &str, directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["one-shot", &run.to_string(), url])
        .arg(directory.join("journals"))
        .arg(directory.join(format!("returned-{run}")))
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The actions of such a program.
pub(crate) fn shoot(run: &str, url: &str, journals: &Path, returned: &Path) {
    recorder::record_few(run, url, journals, returned);
    if run.len().is_multiple_of(2) || run.ends_with('1') {
        std::process::exit(0);
    }
    std::process::abort();
}
