//! A database as older versions of the library left it.

use crate::{Cluster, Database};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Executor};
use std::path::{Path, PathBuf};

fn runtime() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../audit-runtime")
}

/// The migrations, which older programs apply.
///
/// # Panics
/// They cannot be read.
pub async fn migrator() -> Migrator {
    let mut migrator = Migrator::new(runtime().join("migrations")).await.unwrap();
    migrator.dangerous_set_table_name("_audit_migrations");
    migrator
}

/// With the schema of version 5, in the shared cluster.
pub async fn version_5() -> Database {
    version_5_in(Cluster::shared()).await
}

/// With the schema of version 5.
///
/// # Panics
/// It cannot be made.
pub async fn version_5_in(cluster: &Cluster) -> Database {
    let database = Database::empty_in(cluster).await;
    migrator().await.run(&database.pool).await.unwrap();
    let sql = std::fs::read_to_string(runtime().join("src/postgres/schema/amendments/0005_roles.sql")).unwrap();
    let sql = sql.replace("{schema}", "public").replace("{in_text}", "public");
    database.pool.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
    let books = "INSERT INTO audit_schema (version) VALUES (5); SELECT audit_make_partitions(3); \
                 COMMENT ON TABLE audit_events IS 'One row for each audited call or event; append-only. Audit schema version 5.'";
    database.pool.execute(sqlx::raw_sql(books)).await.unwrap();
    database
}

/// Adds so many events, which others wrote: of the last 40 days, or since the begin of the last month, for
/// which there is a partition.
///
/// # Panics
/// They cannot be added.
pub async fn fill(database: &Database, rows: u32) {
    let sql = "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, outcome, correlation_id) \
               SELECT gen_random_uuid(), 'order.filled', 'order', gen_random_uuid(), 'user:' || n % 100, \
               jsonb_build_object('order_id', n, 'ticker', 'T' || n % 50), now() - n * (LEAST(interval '40 days', now() - (date_trunc('month', now(), 'UTC') - interval '1 month')) / ($1 + 1)), \
               CASE WHEN n % 10 = 0 THEN 'error' ELSE 'ok' END, gen_random_uuid() FROM generate_series(1, $1) n";
    sqlx::query(sql).bind(rows.cast_signed()).execute(&database.pool).await.unwrap();
}
