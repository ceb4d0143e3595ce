//! The rights that roles have, compared with those that their duties need.

use super::roles::{self, Role};
use sqlx::postgres::{PgConnection, PgPool};
use std::collections::BTreeSet;

/// A difference between the rights of a role and those that its duties need.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RightsProblem {
    /// The kind of the difference.
    pub kind: RightsProblemKind,
    /// The role.
    pub role: String,
    /// The difference, in words.
    pub about: String,
    /// The statement or the command that mends it.
    pub remedy: String,
}

/// Classifies a [`RightsProblem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RightsProblemKind {
    /// The role does not exist.
    NoRole,
    /// The role is a superuser, or may act as the owner of the tables: no grant limits it.
    Unlimited,
    /// The role lacks a right.
    Lacks,
    /// The role has a right to read, to insert or to call that no duty of it needs.
    Exceeds,
    /// The role may change or remove what is stored, or add triggers.
    MayChange,
}

/// Rights with which stored rows can be changed or removed, or others' changed before they are
/// stored.
const CHANGE: [&str; 4] = ["UPDATE", "DELETE", "TRUNCATE", "TRIGGER"];

/// A right to an object: a table, a column as `table.column`, or a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    privilege: String,
    object: String,
}

/// The tables, views and partitions of the trail, with their kinds of rights.
const RELATIONS: &str = "SELECT c.oid FROM pg_class t JOIN pg_class c ON c.relnamespace = t.relnamespace \
     WHERE t.oid = 'audit_events'::regclass AND c.relkind IN ('r', 'p', 'v') AND (c.relname IN ('audit_events', 'audit_batches', 'audit_quarantine', \
     'audit_late', 'audit_tree', 'audit_checkpoints', 'audit_pruned', 'audit_keys', 'audit_journals', 'audit_schema', 'audit_tenants', \
     'audit_tenant_events', 'audit_catalogue', 'audit_retried', 'audit_feeds', 'audit_set_aside', 'audit_timestamps', 'audit_holds', '_audit_migrations') OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = t.oid))";

/// Reads the rights of a list as GRANT has it, as in `SELECT (id, wrapped) ON audit_keys`.
fn rights(list: &str) -> Vec<Right> {
    let Some((left, objects)) = list.split_once(" ON ") else { return Vec::new() };
    let (privilege, columns) = left
        .split_once(" (")
        .map_or((left, None), |(privilege, columns)| (privilege, Some(columns.trim_end_matches(')'))));
    let right = |object: String| Right { privilege: privilege.to_owned(), object };
    if let Some(functions) = objects.strip_prefix("FUNCTION ") {
        return functions
            .split("), ")
            .map(|name| right(name.split('(').next().unwrap_or(name).trim().into()))
            .collect();
    }
    let tables = objects.split(", ").map(str::trim);
    match columns {
        None => tables.map(|table| right(table.into())).collect(),
        Some(columns) => {
            tables.flat_map(|table| columns.split(", ").map(move |column| right(format!("{table}.{column}")))).collect()
        }
    }
}

fn needed(duties: &[Role]) -> BTreeSet<Right> {
    duties.iter().flat_map(|duty| duty.privileges()).flat_map(|list| rights(list)).collect()
}

/// Compares the rights of each role with those that its duties need, and finds other roles that
/// may change what is stored. A role may have several duties.
pub(crate) async fn inspect(pool: &PgPool, duties: &[(Role, &str)]) -> Result<Vec<RightsProblem>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut problems = Vec::new();
    let names: BTreeSet<&str> = duties.iter().map(|(_, name)| *name).collect();
    for name in &names {
        let of: Vec<Role> = duties.iter().filter(|(_, role)| role == name).map(|(duty, _)| *duty).collect();
        role(&mut connection, name, &of, &mut problems).await?;
    }
    others(&mut connection, &names, &mut problems).await?;
    Ok(problems)
}

/// A role that exists, and how it stands to the trail.
#[derive(Debug, sqlx::FromRow)]
struct Known {
    quoted: String,
    is_superuser: bool,
    is_owner: bool,
    owner: String,
    has_usage: bool,
    connects: bool,
    schema: String,
    database: String,
}

async fn role(
    connection: &mut PgConnection,
    name: &str,
    duties: &[Role],
    problems: &mut Vec<RightsProblem>,
) -> Result<(), sqlx::Error> {
    let mut problem = |kind, about: String, remedy: String| {
        problems.push(RightsProblem { kind, role: name.to_owned(), about, remedy });
    };
    let sql = "SELECT quote_ident(r.rolname) AS quoted, r.rolsuper AS is_superuser, pg_has_role(r.oid, t.relowner, 'MEMBER') AS is_owner, \
         quote_ident(pg_get_userbyid(t.relowner)) AS owner, has_schema_privilege(r.oid, t.relnamespace, 'USAGE') AS has_usage, \
         has_database_privilege(r.oid, current_database(), 'CONNECT') AS connects, quote_ident(n.nspname) AS schema, \
         quote_ident(current_database()) AS database \
         FROM pg_roles r, pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace WHERE r.rolname = $1 AND t.oid = 'audit_events'::regclass";
    let known: Option<Known> =
        sqlx::query_as(sql).persistent(false).bind(name).fetch_optional(&mut *connection).await?;
    let Some(Known { quoted, is_superuser, is_owner, owner, has_usage, connects, schema, database }) = known else {
        problem(
            RightsProblemKind::NoRole,
            format!("role {name} does not exist"),
            format!("CREATE ROLE \"{}\" LOGIN; -- then: {}", name.replace('"', "\"\""), grant(duties, name)),
        );
        return Ok(());
    };
    if is_superuser || is_owner {
        let (what, remedy) = if is_superuser {
            ("is a superuser".into(), format!("ALTER ROLE {quoted} NOSUPERUSER;"))
        } else {
            (
                format!("may act as {owner}, the owner of the tables"),
                format!("REVOKE {owner} FROM {quoted}; -- or give it a role of its own"),
            )
        };
        problem(RightsProblemKind::Unlimited, format!("role {name} {what}, so that no grant limits it"), remedy);
        return Ok(());
    }
    let needed = needed(duties);
    if !has_usage {
        problem(RightsProblemKind::Lacks, format!("role {name} lacks USAGE ON SCHEMA {schema}"), grant(duties, name));
    }
    if !connects {
        let remedy = format!("GRANT CONNECT ON DATABASE {database} TO {quoted};");
        problem(RightsProblemKind::Lacks, format!("role {name} lacks CONNECT ON DATABASE {database}"), remedy);
    }
    let held = held(connection, name).await?;
    for right in &needed {
        if !held.iter().any(|held| held.covers(right)) {
            let about = format!("role {name} lacks {} ON {}", right.privilege, right.object);
            problem(RightsProblemKind::Lacks, about, grant(duties, name));
        }
    }
    let is_needed = |held: &Held| needed.iter().any(|right| held.is(right));
    for held in held.iter().filter(|one| !one.is_harmless() && !one.is_of_partition(&held) && !is_needed(one)) {
        let kind = match CHANGE.contains(&held.privilege.as_str()) {
            true => RightsProblemKind::MayChange,
            false => RightsProblemKind::Exceeds,
        };
        let by = match held.granted_to.as_deref() {
            Some("PUBLIC") => ", like every role".into(),
            Some(granted) if granted != quoted => format!(", as a member of {granted}"),
            _ => String::new(),
        };
        let about = format!("role {name} has {} ON {}, which its duties do not need{by}", held.privilege, held.name());
        problem(kind, about, held.remedy(&quoted));
    }
    Ok(())
}

/// Compares a login with the tenant to which it should be assigned.
pub(crate) async fn inspect_tenant(pool: &PgPool, name: &str, tenant: &str) -> Result<Vec<RightsProblem>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut problems = Vec::new();
    let assign = format!("audit-trail migrate --tenant {name}={tenant}");
    let mut problem = |kind, about: String, before: &str| {
        problems.push(RightsProblem { kind, role: name.to_owned(), about, remedy: format!("{before}{assign}") });
    };
    let sql = "SELECT has_table_privilege(oid, 'audit_tenant_events', 'SELECT'), has_table_privilege('audit_tenants', 'SELECT') \
         FROM pg_roles WHERE rolname = $1";
    let known: Option<(bool, bool)> =
        sqlx::query_as(sql).persistent(false).bind(name).fetch_optional(&mut *connection).await?;
    let Some((may_read, is_known)) = known else {
        let before = format!("CREATE ROLE \"{}\" LOGIN; -- then: ", name.replace('"', "\"\""));
        problem(RightsProblemKind::NoRole, format!("role {name} does not exist"), &before);
        return Ok(problems);
    };
    if !may_read {
        problem(RightsProblemKind::Lacks, format!("role {name} lacks SELECT ON audit_tenant_events"), "");
    }
    if roles::sees_all(&mut connection, name).await? {
        let about = format!("role {name} may read events of all tenants, by a right of its own or by a membership");
        problem(RightsProblemKind::Exceeds, about, "revoke the right or the membership; then ");
    }
    if is_known {
        let sql = "SELECT tenant FROM audit_tenants WHERE role = $1";
        let assigned: Option<String> =
            sqlx::query_scalar(sql).persistent(false).bind(name).fetch_optional(&mut *connection).await?;
        if assigned.as_deref() != Some(tenant) {
            let is = assigned.map_or_else(|| "no tenant".into(), |is| format!("tenant {is}"));
            problem(
                RightsProblemKind::Exceeds,
                format!("role {name} is assigned to {is} in place of tenant {tenant}"),
                "",
            );
        }
    }
    Ok(problems)
}

/// The command that grants the rights of these duties.
fn grant(duties: &[Role], name: &str) -> String {
    let options: Vec<String> = duties.iter().map(|duty| format!("--{duty} {name}")).collect();
    format!("audit-trail migrate {}", options.join(" "))
}

/// A right that a role has, by itself, by a membership or like every role.
#[derive(Debug, sqlx::FromRow)]
struct Held {
    privilege: String,
    object: String,
    column: Option<String>,
    signature: Option<String>,
    granted_to: Option<String>,
}

impl Held {
    /// The table, the column or the function, as a [`Right`] names it.
    fn name(&self) -> String {
        self.column.as_ref().map_or_else(|| self.object.clone(), |column| format!("{}.{column}", self.object))
    }

    fn is(&self, right: &Right) -> bool {
        self.privilege == right.privilege && self.name() == right.object
    }

    /// Whether it includes a right: that to a table includes those to its columns.
    fn covers(&self, right: &Right) -> bool {
        let of_column = |right: &str| right.split_once('.').is_some_and(|(table, _)| table == self.object);
        self.is(right) || self.privilege == right.privilege && self.column.is_none() && of_column(&right.object)
    }

    /// Whether the same right to the whole table is held, too. One finding is enough.
    fn is_of_partition(&self, all: &[Self]) -> bool {
        self.object.starts_with("audit_events_")
            && all.iter().any(|held| {
                held.object == "audit_events" && held.privilege == self.privilege && held.column == self.column
            })
    }

    /// The versions of the schema are no secret.
    fn is_harmless(&self) -> bool {
        self.privilege == "SELECT" && ["audit_schema", "_audit_migrations"].contains(&self.object.as_str())
    }

    fn remedy(&self, role: &str) -> String {
        let privilege = match &self.column {
            Some(column) => format!("{} ({column})", self.privilege),
            None => self.privilege.clone(),
        };
        let object = match &self.signature {
            Some(signature) => format!("FUNCTION {signature}"),
            None => self.object.clone(),
        };
        match self.granted_to.as_deref() {
            Some(granted) => format!("REVOKE {privilege} ON {object} FROM {granted};"),
            // By no grant of the object: by a role that PostgreSQL brings.
            None if self.privilege == "SELECT" => format!("REVOKE pg_read_all_data FROM {role};"),
            None => format!("REVOKE pg_write_all_data FROM {role};"),
        }
    }
}

/// Returns all rights of a role to objects of the trail. Columns stand for a table of which the
/// role has not all.
async fn held(connection: &mut PgConnection, name: &str) -> Result<Vec<Held>, sqlx::Error> {
    let grantee =
        "SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END FROM aclexplode";
    let rule = "CASE WHEN a.grantee = 0 THEN true ELSE pg_has_role(r.oid, a.grantee, 'USAGE') END ORDER BY a.grantee = r.oid DESC, a.grantee LIMIT 1";
    let sql = format!(
        "WITH r AS (SELECT oid FROM pg_roles WHERE rolname = $1), \
         c AS (SELECT c.* FROM pg_class c WHERE c.oid IN ({RELATIONS})), \
         whole AS (SELECT p.privilege, c.oid, c.relname, c.relacl FROM r, c, \
         unnest('{{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER}}'::text[]) AS p (privilege) WHERE has_table_privilege(r.oid, c.oid, p.privilege)) \
         SELECT w.privilege, w.relname::text AS object, NULL::text AS column, NULL::text AS signature, \
         ({grantee}(w.relacl) a WHERE a.privilege_type = w.privilege AND {rule}) AS granted_to FROM r, whole w \
         UNION ALL SELECT p.privilege, c.relname::text, a.attname::text, NULL, \
         ({grantee}(a.attacl) a WHERE a.privilege_type = p.privilege AND {rule}) \
         FROM r, c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL, \
         unnest('{{SELECT,INSERT,UPDATE}}'::text[]) AS p (privilege) \
         WHERE has_column_privilege(r.oid, c.oid, a.attnum, p.privilege) \
         AND NOT EXISTS (SELECT FROM whole w WHERE w.oid = c.oid AND w.privilege = p.privilege) \
         UNION ALL SELECT 'EXECUTE', p.proname::text, NULL, p.oid::regprocedure::text, \
         ({grantee}(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE {rule}) \
         FROM r, pg_class t JOIN pg_proc p ON p.pronamespace = t.relnamespace \
         WHERE t.oid = 'audit_events'::regclass AND p.proname LIKE 'audit\\_%' AND p.prosecdef AND p.prorettype <> 'trigger'::regtype \
         AND has_function_privilege(r.oid, p.oid, 'EXECUTE') ORDER BY 2, 1, 3"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql)).persistent(false).bind(name).fetch_all(connection).await
}

/// Finds roles without a duty that a grant lets change what is stored.
async fn others(
    connection: &mut PgConnection,
    named: &BTreeSet<&str>,
    problems: &mut Vec<RightsProblem>,
) -> Result<(), sqlx::Error> {
    let sql = format!(
        "SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END, \
         CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END, g.privilege_type, g.relname::text \
         FROM (SELECT DISTINCT a.grantee, a.privilege_type, c.relname, c.relowner FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid IN ({RELATIONS}) \
         UNION SELECT DISTINCT a.grantee, a.privilege_type, c.relname, c.relowner FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a \
         WHERE c.oid IN ({RELATIONS})) g WHERE g.grantee <> g.relowner AND g.privilege_type = ANY ($1) ORDER BY 1, 4, 3"
    );
    let found: Vec<(String, String, String, String)> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).persistent(false).bind(&CHANGE[..]).fetch_all(connection).await?;
    for (role, quoted, privilege, table) in found {
        if named.contains(role.as_str()) {
            continue;
        }
        problems.push(RightsProblem {
            kind: RightsProblemKind::MayChange,
            about: format!("role {role} has {privilege} ON {table}"),
            remedy: format!("REVOKE {privilege} ON {table} FROM {quoted};"),
            role,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_as_grant_has_them() {
        let texts = |list: &str| -> Vec<String> {
            rights(list).into_iter().map(|right| format!("{} {}", right.privilege, right.object)).collect()
        };
        assert_eq!(texts("INSERT ON audit_late, audit_tree"), ["INSERT audit_late", "INSERT audit_tree"]);
        assert_eq!(texts("SELECT (id, wrapped) ON audit_keys"), ["SELECT audit_keys.id", "SELECT audit_keys.wrapped"]);
        assert_eq!(
            texts("EXECUTE ON FUNCTION audit_bind(uuid), audit_take_keys(text[], uuid[], bytea[])"),
            ["EXECUTE audit_bind", "EXECUTE audit_take_keys"]
        );
        let all = [Role::Writer, Role::Reader, Role::Checkpointer, Role::Eraser];
        assert!(all.iter().flat_map(|role| role.privileges()).all(|list| !rights(list).is_empty()));
    }
}
