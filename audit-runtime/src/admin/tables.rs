//! Administration of the tables: their schema, the rights to them, partitions.

use super::handle::Admin;
use super::progress::Progress;
use crate::postgres::schema::online::{self, Choice};
use crate::postgres::schema::{check, migrate, partitions, roles};
use crate::postgres::{DatabaseError, Role};

#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
impl Admin {
    /// Creates or updates the audit trail's tables, and makes monthly partitions ahead.
    ///
    /// It also restores triggers and unique keys that a restored database has lost. If nothing is
    /// to be done, the right to read is enough. Several processes may run it at once.
    ///
    /// Applied migrations are recorded in `_audit_migrations` and `audit_schema`. They never clash
    /// with an application's own sqlx migrations in the same database.
    ///
    /// Others may read and write meanwhile: indexes are built concurrently, and no step waits longer
    /// than 200 ms for a lock that others need. A migration that was killed is continued by the
    /// next one.
    ///
    /// If a plain table `audit_events` of seven columns exists, as the system of
    /// [`execution`](crate::execution) creates it, its rows stay where they are. The table becomes
    /// a partition of the new one, and its writers may go on meanwhile.
    ///
    /// # Errors
    /// The server is older than PostgreSQL 14. The database cannot be reached, does not allow it,
    /// or was migrated by a newer version. An `audit_events` of another kind is also an error, and
    /// is left as it was.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        self.migrate_with_progress(|step| tracing::info!("audit schema: {step}")).await
    }

    /// Migrates like [`migrate`](Self::migrate), and reports each step before it runs.
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate).
    pub async fn migrate_with_progress(&self, mut progress: impl FnMut(Progress<'_>)) -> Result<(), DatabaseError> {
        let migrated = migrate::migrate(&self.pool, self.choice(), |step| progress(Progress::Step(step))).await;
        migrated.map_err(DatabaseError::of_migration)
    }

    /// Returns the steps that [`migrate`](Self::migrate) would take, in their order.
    ///
    /// It changes nothing, and every role may call it.
    ///
    /// # Errors
    /// The server is older than PostgreSQL 14, or the database cannot be reached.
    pub async fn pending_migration(&self) -> Result<Vec<MigrationStep>, DatabaseError> {
        let steps = migrate::pending(&self.pool, self.choice()).await.map_err(DatabaseError::of_migration)?;
        Ok(steps.into_iter().map(|step| MigrationStep { sql: step.script(), about: step.about }).collect())
    }

    pub(super) fn choice(&self) -> Choice {
        Choice { execution: self.execution, ..Choice::default() }
    }

    /// Returns the problems of the schema, one sentence each.
    ///
    /// Problems are triggers and unique keys that a restored database has lost, and versions that
    /// [`migrate`](Self::migrate) would apply. Every role may call it.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn schema_problems(&self) -> Result<Vec<String>, DatabaseError> {
        check::schema_problems(&self.pool).await.map_err(DatabaseError::of)
    }

    /// Grants a role of the database the least rights that its part needs.
    ///
    /// The role must exist: the server's administrator creates it by `CREATE ROLE`. Granting the
    /// same again changes nothing.
    ///
    /// # Errors
    /// The role does not exist, or the database cannot be reached or does not allow it.
    pub async fn grant(&self, role: Role, name: &str) -> Result<(), DatabaseError> {
        roles::grant(&self.pool, role, name).await.map_err(DatabaseError::of)
    }

    /// Assigns a login to a tenant.
    ///
    /// The login may read the view `audit_tenant_events`, which shows the events of this tenant
    /// alone. A login has one tenant: another assignment replaces the first.
    ///
    /// # Errors
    /// There is no such role, or it may read all events. The database cannot be reached or does not allow it.
    pub async fn assign_tenant(&self, role: &str, tenant: &str) -> Result<(), DatabaseError> {
        roles::assign(&self.pool, role, tenant).await.map_err(DatabaseError::of)
    }

    /// Packs the indexes of the months that are over, and drops those that only writers need.
    ///
    /// Others may read and write meanwhile. A month is packed once. It may be interrupted, and run
    /// twice.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it: it takes the tables' owner.
    pub async fn compact_partitions(
        &self,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Compaction, DatabaseError> {
        let lock = partitions::LOCK;
        let done = online::compact(&self.pool, lock, |step| progress(Progress::Step(step))).await;
        let done = done.map_err(DatabaseError::of_migration)?;
        Ok(Compaction { partitions: done.months, bytes_before: done.before, bytes_after: done.after })
    }

    /// Makes the partitions of the months ahead.
    ///
    /// Rows in the default partition, whose months had no partition when they came, move to
    /// partitions of their own. Other sessions may read and write meanwhile. It may be interrupted,
    /// and run twice.
    ///
    /// # Errors
    /// The database cannot be reached, or the role does not own the tables.
    pub async fn make_partitions(&self, mut progress: impl FnMut(Progress<'_>)) -> Result<(), DatabaseError> {
        let made = partitions::make_partitions(&self.pool, |step| progress(Progress::Step(step))).await;
        made.map_err(DatabaseError::of_migration)
    }
}

/// A step of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationStep {
    /// The purpose, in words.
    pub about: String,
    /// The statements, as a script for `psql`.
    pub sql: String,
}

/// The result of [`Admin::compact_partitions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compaction {
    /// The number of partitions that were packed.
    pub partitions: usize,
    /// The bytes of their indexes before.
    pub bytes_before: i64,
    /// The bytes of their indexes after.
    pub bytes_after: i64,
}
