//! Trails that the pages show.

use audit_runtime::evidence::SigningKey;
use audit_runtime::{Audit, Event, Timestamp};
use serde_json::json;
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

/// The first moment of the scenes.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros(1_777_885_200_000_000 + seconds * 1_000_000)
}

/// A desk's morning, as in the tests of the command.
pub async fn morning() -> Database {
    let database = Database::new().await;
    sqlx::raw_sql(include_str!("../command/morning.sql")).execute(&database.pool).await.unwrap();
    database
}

/// A key for checkpoints.
pub fn key() -> SigningKey {
    SigningKey::generate("audit.example.com/desk").unwrap()
}

/// Records events and stores them.
pub async fn record(database: &Database, events: impl FnOnce(&Audit)) {
    let audit = database.audit().start().unwrap();
    events(&audit);
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
}

/// So many events about accounts of two tenants, a second apart, sealed and under a checkpoint.
pub async fn accounts(events: i64, key: &SigningKey) -> Database {
    let database = Database::new().await;
    record(&database, |audit| {
        for number in 0..events {
            let tenant = if number % 2 == 0 { "acme" } else { "globex" };
            let event = Event::new("account.credited")
                .entity("account", number % 10)
                .target("invoice", format!("INV-{number}"))
                .tenant(tenant)
                .actor(format!("user:{}", number % 3))
                .data(&json!({"cents": number}));
            audit.record_at(event, at(number)).unwrap();
        }
    })
    .await;
    database.admin().checkpoint(key).await.unwrap();
    database
}

/// The ids of all events, the oldest first.
pub async fn ids(database: &Database) -> Vec<Uuid> {
    let sql = "SELECT id FROM audit_events WHERE event_type NOT LIKE 'audit.%' ORDER BY created_at, id";
    sqlx::query_scalar(sql).fetch_all(&database.pool).await.unwrap()
}

/// Executes statements that no trigger refuses.
pub async fn as_superuser(database: &Database, sql: &str) {
    let sql = format!("SET session_replication_role TO replica; {sql}; RESET session_replication_role");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
}
