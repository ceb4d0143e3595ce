//! A trail of four months: of each day ten orders, and views of two tenants, some of them by another
//! program.

use audit_runtime::Event;
use audit_runtime::admin::{Hold, Prune, PruneFilter};
use audit_runtime::admin::{HoldStatus, PruneReport};
use audit_runtime::evidence::{Finding, FindingKind, SigningKey};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde_json::json;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Executor};
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

pub const DAYS: i64 = 120;

pub struct Scene {
    pub database: Database,
    pub key: SigningKey,
}

impl Scene {
    pub async fn new() -> Self {
        let database = Database::new().await;
        let audit = database.audit().batch_rows(100).start().unwrap();
        for days in 0..DAYS {
            let time = noon(days);
            for number in 0..10 {
                let order = Event::new("order.submitted").entity("order", days * 10 + number).tenant("acme");
                audit.record_at(order.actor("desk").data(&json!({"customer_id": days, "x": 1.10})), time).unwrap();
            }
            for tenant in ["acme", "globex"] {
                let viewed = Event::new("customer.viewed").entity("customer", days).tenant(tenant).actor("ann");
                audit.record_at(viewed.target("desk", 7), time).unwrap();
            }
        }
        audit.shutdown(Duration::from_secs(60)).await.unwrap();
        let others = "INSERT INTO audit_events (id, event_type, entity_type, created_at, data, tenant, context, targets) SELECT gen_random_uuid(), \
             CASE WHEN n % 3 = 0 THEN 'customer.viewed' ELSE 'b.thing' END, 'b', date_trunc('day', now()) - n * interval '1 day' + interval '9 h', \
             '{\"n\": 1e3}', CASE WHEN n % 2 = 0 THEN 'acme' END, CASE n % 5 WHEN 1 THEN jsonb 'null' WHEN 2 THEN '{\"a\": null}' END, \
             CASE n % 7 WHEN 1 THEN jsonb 'null' WHEN 2 THEN '[]' END FROM generate_series(0, 119) n";
        database.pool.execute(others).await.unwrap();
        let key = SigningKey::generate("audit.example.com/test").unwrap();
        database.admin().checkpoint(&key).await.unwrap();
        database.admin().make_partitions(|_| {}).await.unwrap();
        Self { database, key }
    }

    /// The problems that verification reports.
    pub async fn problems(&self) -> Vec<String> {
        let findings = self.findings().await;
        findings.iter().filter(|finding| finding.is_problem()).map(ToString::to_string).collect()
    }

    pub async fn findings(&self) -> Vec<Finding> {
        self.database.verify(Some(self.key.public()), &[]).await.0
    }

    pub async fn of_kind(&self, kind: FindingKind) -> Vec<Finding> {
        self.findings().await.into_iter().filter(|finding| finding.kind == kind).collect()
    }

    pub async fn is_unharmed(&self) {
        assert_eq!(self.problems().await, Vec::<String>::new());
    }

    pub async fn prune(&self, prune: &Prune) -> PruneReport {
        self.database.admin().actor("pruner").prune(prune, |_| {}).await.unwrap()
    }

    /// The number of events that match a condition.
    pub async fn count(&self, condition: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM audit_events WHERE entity_type <> 'audit' AND {condition}");
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.database.pool).await.unwrap();
        count.cast_unsigned()
    }

    pub async fn hold(&self, hold: Hold) -> Uuid {
        self.database.admin().actor("legal").add_hold(&hold, "case 17").await.unwrap().id
    }

    pub async fn holds(&self) -> Vec<HoldStatus> {
        self.database.admin().holds(true).await.unwrap()
    }

    /// Statements of the owner, in one transaction. Returns the error's code.
    pub async fn owner(&self, sql: &str) -> Option<String> {
        let mut connection = self.database.pool.acquire().await.unwrap();
        let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {sql}; COMMIT")))).await;
        let code = done.err().map(|error| error.as_database_error().unwrap().code().unwrap().into_owned());
        let _ = connection.execute("ROLLBACK").await;
        code
    }
}

/// Executes statements that no trigger refuses.
pub async fn as_superuser(pool: &PgPool, sql: &str) {
    let sql = format!("SET session_replication_role TO replica; {sql}; RESET session_replication_role");
    pool.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

/// Noon of the day so many days ago.
pub fn noon(days: i64) -> DateTime<Utc> {
    midnight(days) + TimeDelta::hours(12)
}

/// The begin of the day so many days ago.
pub fn midnight(days: i64) -> DateTime<Utc> {
    (Utc::now() - TimeDelta::days(days)).date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc()
}

/// A day in the middle of a month, at least forty days ago: a prune before it takes whole months and a
/// part of one.
pub fn middle() -> DateTime<Utc> {
    (40..).map(midnight).find(|time| time.day() == 15).unwrap()
}

/// The begin of last month.
pub fn last_month() -> DateTime<Utc> {
    (28..).map(midnight).find(|time| time.day() == 1).unwrap()
}

pub fn viewed() -> PruneFilter {
    PruneFilter::new().event("customer.viewed")
}
