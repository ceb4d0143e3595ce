//! The least rights of those who write, read, seal and forget.

use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgPool};
use std::fmt;

/// Names the part that a role of the database has in the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Stores events, as the handle does. It may insert them, and read which batches are stored,
    /// but no event.
    Writer,
    /// Reads the trail and verifies it: it may change nothing.
    Reader,
    /// Makes checkpoints: it may read, and insert seals.
    Checkpointer,
    /// Forgets subjects, and may read and write nothing.
    Eraser,
    /// Sends events to other systems: it may read, and write how far each feed has come.
    Forwarder,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::Checkpointer => "checkpointer",
            Self::Eraser => "eraser",
            Self::Forwarder => "forwarder",
        })
    }
}

const READ: &str = "SELECT ON audit_events, audit_batches, audit_quarantine, audit_late, audit_tree, audit_checkpoints, audit_pruned, \
     audit_catalogue, audit_retried, audit_feeds, audit_set_aside, audit_timestamps, audit_holds";
/// The columns of a key except its subject.
const READ_KEYS: &str = "SELECT (id, wrapped, created_at, destroyed_at) ON audit_keys";

impl Role {
    pub(super) fn privileges(self) -> &'static [&'static str] {
        match self {
            Self::Writer => &[
                "INSERT ON audit_events, audit_batches, audit_quarantine, audit_catalogue",
                "SELECT ON audit_batches",
                "EXECUTE ON FUNCTION audit_open_intents(uuid), audit_unfinished(uuid), audit_refused(uuid), audit_bind(uuid), audit_fence(uuid), \
                 audit_make_partitions(integer), audit_take_keys(text[], uuid[], bytea[])",
            ],
            Self::Reader => &[READ, READ_KEYS],
            Self::Eraser => &["EXECUTE ON FUNCTION audit_forget(text, uuid, text, text), audit_rewrite_keys()"],
            Self::Forwarder => {
                &[READ, "INSERT ON audit_feeds, audit_set_aside", "UPDATE ON audit_feeds", "DELETE ON audit_set_aside"]
            }
            Self::Checkpointer => {
                &[READ, "INSERT ON audit_batches, audit_late, audit_tree, audit_checkpoints, audit_timestamps"]
            }
        }
    }
}

/// Gives a role of the database the least rights that its part needs.
pub(crate) async fn grant(pool: &PgPool, role: Role, name: &str) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    privileges(&mut transaction, name, role.privileges()).await?;
    transaction.commit().await
}

/// Assigns a login to a tenant, whose events alone it may read.
///
/// # Errors
/// The role may read other events as well.
pub(crate) async fn assign(pool: &PgPool, name: &str, tenant: &str) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    privileges(&mut transaction, name, &["SELECT ON audit_tenant_events"]).await?;
    let sees_all = sees_all(&mut transaction, name).await?;
    if sees_all {
        let text = format!(
            "role {name} may read audit_events or audit_tenants itself, or is a member of a role that may: a tenant's login \
             needs a role without such rights"
        );
        return Err(sqlx::Error::Configuration(text.into()));
    }
    sqlx::query("INSERT INTO audit_tenants (role, tenant) VALUES ($1, $2) ON CONFLICT (role) DO UPDATE SET tenant = excluded.tenant")
        .bind(name)
        .bind(tenant)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Returns whether a role may read events, or assignments, of all tenants.
pub(super) async fn sees_all(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_roles r, pg_class c WHERE pg_has_role($1, r.oid, 'MEMBER') \
         AND has_any_column_privilege(r.oid, c.oid, 'SELECT') AND (c.oid IN ('audit_events'::regclass, 'audit_tenants'::regclass) \
         OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_events'::regclass)))",
    )
    .bind(name)
    .fetch_one(connection)
    .await
}

/// Grants privileges to a role that exists.
async fn privileges(transaction: &mut PgConnection, name: &str, privileges: &[&str]) -> Result<(), sqlx::Error> {
    let quoted: Option<String> = sqlx::query_scalar("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname = $1")
        .bind(name)
        .fetch_optional(&mut *transaction)
        .await?;
    let Some(quoted) = quoted else {
        let text = format!(
            "role {name} does not exist; an administrator of the server creates it by CREATE ROLE {name} LOGIN"
        );
        return Err(sqlx::Error::Configuration(text.into()));
    };
    // PostgreSQL only warns a role that may not grant, and grants nothing.
    sqlx::query(
        "DO $$ BEGIN IF NOT has_table_privilege('audit_events', 'SELECT WITH GRANT OPTION') THEN \
         RAISE EXCEPTION 'permission denied for table audit_events: its owner grants rights' USING ERRCODE = 'insufficient_privilege'; \
         END IF; END $$",
    )
    .execute(&mut *transaction)
    .await?;
    let usage: String = sqlx::query_scalar(
        "SELECT format('USAGE ON SCHEMA %I', n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid = 'audit_events'::regclass",
    )
    .fetch_one(&mut *transaction)
    .await?;
    for privilege in std::iter::once(usage.as_str()).chain(privileges.iter().copied()) {
        sqlx::query(AssertSqlSafe(format!("GRANT {privilege} TO {quoted}"))).execute(&mut *transaction).await?;
    }
    Ok(())
}
