//! Inspections, which change nothing: the schema, and the rights of roles.

use super::handle::Admin;
use crate::postgres::schema::{inspect, rights};
use crate::postgres::{DatabaseError, RightsProblem, Role, SchemaProblem};

#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
impl Admin {
    /// Compares the schema with the one that this version makes, and returns the differences.
    ///
    /// Beside what [`schema_problems`](Self::schema_problems) finds, these are columns, functions
    /// and triggers that differ, invalid indexes, partitions that are due, and the server's
    /// version. Every role may call it, and it reads PostgreSQL's catalogue only.
    ///
    /// ```no_run
    /// # async fn inspect(admin: audit_runtime::admin::Admin) -> Result<(), audit_runtime::DatabaseError> {
    /// for problem in admin.inspect_schema().await? {
    ///     println!("{}: {}", problem.about, problem.remedy);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn inspect_schema(&self) -> Result<Vec<SchemaProblem>, DatabaseError> {
        inspect::inspect(&self.pool, self.choice()).await.map_err(DatabaseError::of)
    }

    /// Compares the rights of roles with those that their duties need, and returns the differences.
    ///
    /// A role may be listed with several duties. Rights by memberships count, and those of every
    /// role. Any other role that a grant lets change what is stored is reported, too. Every role
    /// may call it.
    ///
    /// ```no_run
    /// # async fn inspect(admin: audit_runtime::admin::Admin) -> Result<(), audit_runtime::DatabaseError> {
    /// use audit_runtime::admin::Role;
    ///
    /// for problem in admin.inspect_rights(&[(Role::Writer, "desk"), (Role::Reader, "auditor")]).await? {
    ///     println!("{}: {}", problem.about, problem.remedy);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The database cannot be reached, or has no audit tables.
    pub async fn inspect_rights(&self, duties: &[(Role, &str)]) -> Result<Vec<RightsProblem>, DatabaseError> {
        rights::inspect(&self.pool, duties).await.map_err(DatabaseError::of)
    }

    /// Compares a login with the tenant to which it should be [assigned](Self::assign_tenant).
    ///
    /// The assignment itself is compared if the role of this session may read `audit_tenants`.
    ///
    /// # Errors
    /// The database cannot be reached, or has no audit tables.
    pub async fn inspect_tenant(&self, role: &str, tenant: &str) -> Result<Vec<RightsProblem>, DatabaseError> {
        rights::inspect_tenant(&self.pool, role, tenant).await.map_err(DatabaseError::of)
    }
}
