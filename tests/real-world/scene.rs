//! The trail that all services here record to, and the rows of one test.

use audit_runtime::trail::{Trail, TrailEvent};
use audit_runtime::{Audit, Context, Outcome};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use std::sync::OnceLock;
use tests::Database;
use uuid::Uuid;

/// The id that most calls are about.
pub(crate) const ID: Uuid = Uuid::from_u128(7);

/// A row, as far as it is about the call.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    event_type: String,
    entity_id: Option<Uuid>,
    outcome: Outcome,
    pub(crate) data: Value,
}

/// Expects a call that succeeded.
pub(crate) fn ok(event_type: &str, entity_id: impl Into<Option<Uuid>>, data: Value) -> Row {
    ended(Outcome::Ok, event_type, entity_id, data)
}

/// Expects a call that failed.
pub(crate) fn error(event_type: &str, entity_id: impl Into<Option<Uuid>>, data: Value) -> Row {
    ended(Outcome::Error, event_type, entity_id, data)
}

/// Expects a call that ended so.
pub(crate) fn ended(outcome: Outcome, event_type: &str, entity_id: impl Into<Option<Uuid>>, data: Value) -> Row {
    Row { event_type: event_type.to_owned(), entity_id: entity_id.into(), outcome, data }
}

/// Runs what one request does, and returns the rows of it as they come back from PostgreSQL, by the
/// time each call began.
pub(crate) async fn recorded<F: Future>(calls: F) -> (F::Output, Vec<Row>) {
    let (audit, _) = installed();
    let request = Uuid::now_v7();
    let returned = Context::new().correlation(request).scope(Box::pin(calls)).await;
    audit.flush().await.unwrap();
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(connect_options());
    let events = Trail::new(pool).correlation(request).await.unwrap();
    (returned, events.into_iter().map(Row::from).collect())
}

/// Returns a pool of the test's own on the database that the trail is in, with these tables in a
/// schema of the test's own.
pub(crate) async fn tables(schema: &str, tables: &str) -> PgPool {
    let options = connect_options().options([("search_path", format!("{schema},public"))]);
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(options);
    let sql = format!("CREATE SCHEMA {schema}; {tables}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    pool
}

fn connect_options() -> PgConnectOptions {
    installed().1.parse().unwrap()
}

/// Installs the trail of this process, as a service does when it starts.
fn installed() -> &'static (Audit, String) {
    static INSTALLED: OnceLock<(Audit, String)> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let start = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let Database { url, .. } = runtime.block_on(Database::new());
            let audit = Audit::builder().postgres(url.as_str()).memory().service("desk").start().unwrap();
            audit.install().unwrap();
            (audit, url)
        };
        // The caller is inside of a runtime, where no other may block.
        std::thread::spawn(start).join().unwrap()
    })
}

impl From<TrailEvent> for Row {
    fn from(event: TrailEvent) -> Self {
        let data = serde_json::to_value(&event.data).unwrap();
        Self { event_type: event.event_type, entity_id: event.entity_id, outcome: event.outcome, data }
    }
}
