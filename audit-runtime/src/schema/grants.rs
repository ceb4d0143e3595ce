//! The least rights of those who write, read and seal.

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use std::fmt;

/// What a role does with the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Duty {
    /// Stores events, as the handle does: it may insert them, and read no event, only what tells it which batches are stored.
    Writer,
    /// Reads the trail and verifies it: it may change nothing.
    Reader,
    /// Makes checkpoints: it may read, and insert seals.
    Sealer,
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::Sealer => "sealer",
        })
    }
}

const READ: &str =
    "SELECT ON audit_events, audit_batches, audit_quarantine, audit_late, audit_tree, audit_checkpoints, audit_pruned";
/// Not whose keys they are.
const READ_KEYS: &str = "SELECT (id, wrapped, created_at, destroyed_at) ON audit_keys";

impl Duty {
    fn privileges(self) -> &'static [&'static str] {
        match self {
            Self::Writer => &[
                "INSERT ON audit_events, audit_batches, audit_quarantine",
                "SELECT ON audit_batches",
                "EXECUTE ON FUNCTION audit_open_intents(uuid), audit_refused(uuid), audit_make_partitions(integer), \
                 audit_take_keys(text[], uuid[], bytea[])",
            ],
            Self::Reader => &[READ, READ_KEYS],
            Self::Sealer => &[READ, "INSERT ON audit_batches, audit_late, audit_tree, audit_checkpoints"],
        }
    }
}

/// Gives a role the least rights that a duty needs. It is made by `CREATE ROLE`, which is for whoever runs the server; giving the
/// same again changes nothing.
///
/// # Errors
/// There is no such role, or the database cannot be reached or does not allow it.
pub async fn grant(pool: &PgPool, duty: Duty, role: &str) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let quoted: Option<String> = sqlx::query_scalar("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname = $1")
        .bind(role)
        .fetch_optional(&mut *transaction)
        .await?;
    let Some(quoted) = quoted else {
        let text = format!("there is no role {role}; whoever runs the server makes it: CREATE ROLE {role} LOGIN");
        return Err(sqlx::Error::Configuration(text.into()));
    };
    let usage: String = sqlx::query_scalar(
        "SELECT format('USAGE ON SCHEMA %I', n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid = 'audit_events'::regclass",
    )
    .fetch_one(&mut *transaction)
    .await?;
    for privilege in std::iter::once(usage.as_str()).chain(duty.privileges().iter().copied()) {
        sqlx::query(AssertSqlSafe(format!("GRANT {privilege} TO {quoted}"))).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
