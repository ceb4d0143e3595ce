//! A trail in which everything occurs that can: several journals, large and small batches, a
//! refused row, rows of others, keys, tenants.

use audit_runtime::evidence::SigningKey;
use audit_runtime::{Audit, Event, audited};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Executor};
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

#[audited(event = "order.submitted", err = "order.rejected", intent)]
fn submit(order_id: Uuid, quantity: f64, note: &str) -> Result<u32, std::fmt::Error> {
    if note.len().is_multiple_of(3) { Err(std::fmt::Error) } else { Ok(note.len() as u32) }
}

#[audited(event = "fill.recorded", entity = "order", tx = tx)]
async fn fill(tx: &mut PgConnection, order_id: Uuid, price: f64) -> Result<(), sqlx::Error> {
    Ok(())
}

#[audited(event = "transfer.booked", id = number, tx = tx, also(account = accounts), tenant = tenant)]
async fn book(tx: &mut PgConnection, number: u32, accounts: &[&str], tenant: Option<&str>) -> Result<(), sqlx::Error> {
    Ok(())
}

/// A text that is an id.
const ID_TEXT: &str = "0190a4c1-7c4a-7bbd-8f8e-2d6c5b4a3921";

/// A trail with everything in it, its key, and the checkpoints that were kept elsewhere.
pub struct Scene {
    pub database: Database,
    pub key: SigningKey,
    pub saved: Vec<String>,
}

impl Scene {
    /// Of random size and content.
    pub async fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let database = Database::new().await;
        sqlx::query("ALTER TABLE audit_events ADD CONSTRAINT no_refusals CHECK (event_type <> 'it.refused')")
            .execute(&database.pool)
            .await
            .unwrap();
        let key = SigningKey::generate("audit.example.com/test").unwrap();
        let mut saved = Vec::new();
        for part in 0..random.random_range(1..4) {
            let audit = database.audit().batch_rows(random.random_range(3..40)).start().unwrap();
            record(&audit, &database, &mut random).await;
            audit.shutdown(Duration::from_secs(60)).await.unwrap();
            if part == 0 || random.random() {
                saved.push(database.admin().checkpoint(&key).await.unwrap().note);
            }
        }
        saved.push(database.admin().checkpoint(&key).await.unwrap().note);
        Self { database, key, saved }
    }
}

async fn record(audit: &Audit, database: &Database, random: &mut StdRng) {
    let _entered = audit.enter();
    for number in 0..random.random_range(5..60) {
        match random.random_range(0..14) {
            0 => {
                let mut tx = database.pool.begin().await.unwrap();
                audit.scope(fill(&mut tx, Uuid::now_v7(), 1.10)).await.unwrap();
                tx.commit().await.unwrap();
            }
            1 => {
                let old = "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, context, targets) \
                     VALUES ($1, 'order.filled', 'order', $2, 'python', '{\"price\": 12.50, \"n\": 1e3}', now() - interval '40 days', $3, $4)";
                // The JSON value null is not a column without a value.
                let mut null = || random.random::<bool>().then_some(serde_json::Value::Null);
                let (context, targets) = (null(), null());
                let old = sqlx::query(old).bind(Uuid::new_v4()).bind(Uuid::new_v4());
                old.bind(context).bind(targets).execute(&database.pool).await.unwrap();
            }
            5 => {
                let mut tx = database.pool.begin().await.unwrap();
                let accounts = ["DE/1", "\\", ID_TEXT];
                let accounts = &accounts[..random.random_range(0..3)];
                audit.scope(book(&mut tx, random.random(), accounts, Some("acme"))).await.unwrap();
                tx.commit().await.unwrap();
            }
            6 => {
                let mut event = Event::new("invoice.paid").data(&json!({"cents": number}));
                if random.random() {
                    event = event.entity("invoice", format!("INV-{number}\u{1f600}"));
                }
                if random.random() {
                    event = event.target("account", [1, 2]).target("order", Uuid::now_v7());
                }
                if random.random() {
                    event = event.tenant("acme");
                }
                audit.record(event).unwrap();
            }
            2 if number % 5 == 0 => {
                audit.record(Event::new("it.refused").data(&json!({"why": "a constraint"}))).unwrap();
            }
            3 => audit.flush().await.unwrap(),
            4 => {
                let time = chrono::Utc::now() - chrono::TimeDelta::days(random.random_range(-40..100));
                audit.record_at(Event::new("a.thing").data(&json!({"x": [number, 0.1, null]})), time).unwrap();
            }
            _ => {
                let note = "ä\"\\\u{1f600}\n".repeat(random.random_range(0..5));
                let _ = submit(Uuid::now_v7(), random.random_range(-1e9..1e9), &note);
            }
        }
    }
}

/// Executes statements that no trigger refuses.
pub async fn as_superuser(pool: &PgPool, sql: &str) {
    let sql = format!("SET session_replication_role TO replica; {sql}; RESET session_replication_role");
    pool.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
}
