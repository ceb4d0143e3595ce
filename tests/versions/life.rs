//! From the first migration to the first month that is pruned.

use crate::{dump, fill_old_month, is_well, last_month, record, verifies};
use audit_runtime::admin::{Prune, Role};
use audit_runtime::evidence::SigningKey;
use std::io::Write;
use std::process::Stdio;
use std::time::Instant;
use tests::{Cluster, Database, before};

#[tokio::test]
async fn a_trail_is_made_recorded_sealed_verified_restored_and_pruned() {
    let cluster = Cluster::shared();
    let begin = Instant::now();
    let step =
        |name: &str| eprintln!("PostgreSQL {}: {name} after {:.1} s", cluster.major(), begin.elapsed().as_secs_f64());
    let database = Database::new().await;
    step("migrated");
    // Before PostgreSQL 15, every role may create objects there.
    let close = "REVOKE CREATE ON SCHEMA public FROM PUBLIC";
    sqlx::query(close).execute(&database.pool).await.unwrap();
    let role = format!("life_{}", database.url.rsplit('_').next().unwrap());
    let create = sqlx::AssertSqlSafe(format!("CREATE ROLE {role} LOGIN"));
    sqlx::raw_sql(create).execute(&database.pool).await.unwrap();
    database.admin().grant(Role::Writer, &role).await.unwrap();
    record(&database, 2_000).await;
    // Rows of others, of the last 40 days and of a month that had no partition yet.
    before::fill(&database, 2_000).await;
    fill_old_month(&database, 500).await;
    database.admin().make_partitions(|_| {}).await.unwrap();
    step("recorded");
    let key = SigningKey::generate("audit.example.com/life").unwrap();
    let checkpoint = database.admin().checkpoint(&key).await.unwrap();
    assert!(checkpoint.sealed_late >= 2_500, "{checkpoint:?}");
    verifies(&database, &key, &checkpoint.note).await;
    is_well(&database, &["--writer", &role]);
    step("sealed and verified");

    match dump(cluster, &database.url) {
        None => eprintln!("left out: this PostgreSQL came without pg_dump, and AUDIT_POSTGRES_CLIENT names none"),
        Some(dumped) => {
            let restored = Database::empty_in(cluster).await;
            let mut psql = cluster.psql(&restored.url).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            psql.stdin.take().unwrap().write_all(dumped.as_bytes()).unwrap();
            assert!(psql.wait().unwrap().success());
            assert_eq!(restored.events().await, database.events().await);
            verifies(&restored, &key, &checkpoint.note).await;
            // A dump leaves the rights to this schema out where they are not the server's own.
            sqlx::query(close).execute(&restored.pool).await.unwrap();
            is_well(&restored, &["--writer", &role]);
            record(&restored, 10).await;
            let next = restored.admin().checkpoint(&key).await.unwrap();
            verifies(&restored, &key, &next.note).await;
            step("dumped, restored and verified");
        }
    }

    let pruned = database.admin().prune(&Prune::new(last_month()), |_| {}).await.unwrap();
    assert!(pruned.months >= 1 && pruned.rows >= 500, "{pruned:?}");
    let next = database.admin().checkpoint(&key).await.unwrap();
    verifies(&database, &key, &next.note).await;
    is_well(&database, &["--writer", &role]);
    step("pruned and verified");
}
