//! A database that holds a plain `audit_events` already: seven columns, written by others, who go
//! on meanwhile.
//!
//! ```text
//! while they write   the columns it lacks | what must not be NULL is checked | every index of the new table, concurrently
//! for a moment       locked; renamed; the new tables made; the old one becomes their default partition
//! ```
//!
//! A session that waits for the lock finds the new table by its name, and loses nothing. Until the
//! last step, which is one transaction, everything may be interrupted and begun again.

use super::amendments::{BUCKET, in_schema};
use super::ddl::{LOCK_TIMEOUT, LockRetry, batch, connect_with_advisory_lock, execute, no_truncate};
use super::online::{self, Choice, Step};
use super::{amend, migrations};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Connection, Executor};

/// Held by the session that does it.
const LOCK: i64 = 0x6175_6469_7400_0001;
/// The columns a legacy table must have: name, type, and whether NULL is allowed.
const COLUMNS: [(&str, &str, bool); 7] = [
    ("id", "uuid", false),
    ("event_type", "text", false),
    ("entity_type", "text", false),
    ("entity_id", "uuid", true),
    ("actor", "text", false),
    ("data", "jsonb", false),
    ("created_at", "timestamp with time zone", false),
];

/// The columns that are added to it.
const ADDED_COLUMNS: [(&str, &str); 10] = [
    ("outcome", "text NOT NULL DEFAULT 'ok'"),
    ("duration_us", "bigint"),
    ("correlation_id", "uuid"),
    ("causation_id", "uuid"),
    ("context", "jsonb"),
    ("origin", "text"),
    ("batch_id", "uuid"),
    ("entity_key", "text"),
    ("targets", "jsonb"),
    ("tenant", "text"),
];

const DEPENDANTS: &str = "\
    SELECT 'table ' || conrelid::regclass || ' refers to it by a foreign key' FROM pg_constraint \
    WHERE confrelid = 'audit_events'::regclass AND contype = 'f' \
    UNION ALL SELECT DISTINCT 'view ' || r.ev_class::regclass || ' reads it' FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid \
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = 'audit_events'::regclass AND r.ev_class <> d.refobjid \
    UNION ALL SELECT 'trigger ' || tgname || ' fires on it' FROM pg_trigger WHERE tgrelid = 'audit_events'::regclass AND NOT tgisinternal \
    UNION ALL SELECT 'policy ' || polname || ' guards it' FROM pg_policy WHERE polrelid = 'audit_events'::regclass";

/// The table's owner and privileges, as statements that grant the same on the table that replaces
/// it.
const PRIVILEGES: &str = "\
    SELECT format('ALTER TABLE audit_events OWNER TO %I', pg_get_userbyid(relowner)) FROM pg_class WHERE oid = 'audit_events'::regclass \
    UNION ALL SELECT format('GRANT %s ON audit_events TO %s%s', a.privilege_type, \
    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, \
    CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) \
    FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = 'audit_events'::regclass AND a.grantee <> c.relowner";

/// Takes an existing table in, if there is one.
pub(super) async fn adopt(pool: &PgPool, tell: &mut impl FnMut(&str)) -> Result<(), MigrateError> {
    if !is_plain(&mut *pool.acquire().await?).await? {
        return Ok(());
    }
    let mut connection = connect_with_advisory_lock(pool, LOCK).await?;
    // Another process may have done it while this one waited.
    let done = match is_plain(&mut connection).await {
        Ok(true) => convert(&mut connection, tell).await,
        done => done.map(drop).map_err(Into::into),
    };
    let _ = connection.close().await;
    done
}

/// Whether `audit_events` is an ordinary table that none of the migrations made.
pub(super) async fn is_plain(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let kind: Option<i8> = sqlx::query_scalar("SELECT relkind FROM pg_class WHERE oid = to_regclass('audit_events')")
        .fetch_optional(connection)
        .await?;
    Ok(kind == Some(b'r'.cast_signed()))
}

/// Returns the step that takes it in.
pub(super) fn pending() -> Step {
    Step::transaction(
        "a plain table audit_events becomes a partition, its rows stay as they are".into(),
        vec!["-- The statements depend on its columns, keys and rights: run audit-trail migrate".into()],
    )
}

async fn convert(connection: &mut PgConnection, tell: &mut impl FnMut(&str)) -> Result<(), MigrateError> {
    let rows: f32 = sqlx::query_scalar("SELECT reltuples FROM pg_class WHERE oid = to_regclass('audit_events')")
        .fetch_one(&mut *connection)
        .await?;
    // The estimate is -1 where the table was never analysed.
    let rows = if rows < 0.0 { "rows that nobody has counted yet".into() } else { format!("about {rows:.0} rows") };
    tell(&format!("a plain table audit_events is here, of {rows}: it becomes a partition, its rows stay as they are"));
    // Nothing is changed before it is known to fit.
    let renamed = check(connection).await?;
    connection.execute(LOCK_TIMEOUT).await?;
    for name in renamed {
        execute(connection, &format!("ALTER TABLE audit_events ALTER COLUMN {name} TYPE text")).await?;
    }
    for (name, definition) in ADDED_COLUMNS {
        let sql = format!("ALTER TABLE audit_events ADD COLUMN IF NOT EXISTS {name} {definition}");
        execute(connection, &sql).await?;
    }
    tell("the columns it lacked are added; existing writers need not know them");
    for (name, _, nullable) in COLUMNS {
        if !nullable {
            forbid_null(connection, name).await?;
        }
    }
    tell("building indexes while others write; this takes the longest");
    let schema = migrations::schema(connection).await?;
    // Indexes of times use this function.
    batch(connection, &in_schema(BUCKET, &schema)).await?;
    let mut kind = "UNIQUE INDEX";
    for (name, definition) in online::of_legacy_table() {
        index(connection, kind, name, &in_schema(&definition, &schema)).await?;
        kind = "INDEX";
    }
    tell("exchanging the tables");
    let mut retry = LockRetry::default();
    while let Err(error) = exchange(connection).await {
        retry.wait_or_fail(error).await?;
    }
    Ok(())
}

/// Checks whether the table fits, and returns the columns that are `text` by another name.
async fn check(connection: &mut PgConnection) -> Result<Vec<&'static str>, MigrateError> {
    let found: Vec<(String, String)> = sqlx::query_as(
        "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute \
         WHERE attrelid = 'audit_events'::regclass AND attnum > 0 AND NOT attisdropped",
    )
    .fetch_all(&mut *connection)
    .await?;
    let (mut problems, mut renamed) = (Vec::new(), Vec::new());
    for (name, expected, _) in COLUMNS {
        match found.iter().find(|(found, _)| found == name) {
            None => problems.push(format!("it has no column {name} {expected}")),
            // `varchar` has the same bytes under another name.
            Some((_, kind)) if kind == "character varying" && expected == "text" => renamed.push(name),
            Some((_, kind)) if kind != expected => {
                problems.push(format!("column {name} is {kind}, not {expected}: ALTER TABLE audit_events ALTER COLUMN {name} TYPE {expected}"));
            }
            Some(_) => {}
        }
    }
    let known = |name: &str| {
        COLUMNS.iter().any(|(known, ..)| *known == name) || ADDED_COLUMNS.iter().any(|(known, _)| *known == name)
    };
    for (name, _) in found.iter().filter(|(name, _)| !known(name)) {
        problems
            .push(format!("column {name} has no place in the audit trail: move it to a table of its own, or drop it"));
    }
    // Objects attached to the table itself would move with it to the partition, and see only that.
    let dependants: Vec<String> = sqlx::query_scalar(DEPENDANTS).fetch_all(&mut *connection).await?;
    problems.extend(dependants.into_iter().map(|what| format!("{what}: drop it, and make it anew on the new table")));
    if problems.is_empty() {
        for (name, ..) in COLUMNS.iter().filter(|(.., nullable)| !nullable) {
            let nulls = format!("SELECT count(*) FROM audit_events WHERE {name} IS NULL");
            let nulls: i64 = sqlx::query_scalar(AssertSqlSafe(nulls)).fetch_one(&mut *connection).await?;
            if nulls > 0 {
                problems.push(format!(
                    "in {nulls} rows {name} is NULL, which the audit trail does not allow: give them a value"
                ));
            }
        }
    }
    if problems.is_empty() {
        return Ok(renamed);
    }
    Err(MigrateError::Source(
        format!(
            "the table audit_events that is here cannot become part of the audit trail, and is left as it is: {}",
            problems.join("; ")
        )
        .into(),
    ))
}

/// Has a column refuse NULL from now on, without a long lock.
async fn forbid_null(connection: &mut PgConnection, column: &str) -> Result<(), MigrateError> {
    let allowed = format!(
        "SELECT NOT attnotnull FROM pg_attribute WHERE attrelid = 'audit_events'::regclass AND attname = '{column}'"
    );
    if !sqlx::query_scalar::<_, bool>(AssertSqlSafe(allowed)).fetch_one(&mut *connection).await? {
        return Ok(());
    }
    // A check that was validated spares SET NOT NULL its own look at every row, under its lock.
    let check = format!("audit_events_{column}_given");
    for sql in [
        format!("ALTER TABLE audit_events DROP CONSTRAINT IF EXISTS {check}"),
        format!("ALTER TABLE audit_events ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID"),
        format!("ALTER TABLE audit_events VALIDATE CONSTRAINT {check}"),
        format!("ALTER TABLE audit_events ALTER COLUMN {column} SET NOT NULL"),
        format!("ALTER TABLE audit_events DROP CONSTRAINT {check}"),
    ] {
        execute(connection, &sql).await?;
    }
    Ok(())
}

async fn index(connection: &mut PgConnection, kind: &str, name: &str, definition: &str) -> Result<(), MigrateError> {
    let name = format!("audit_events_default_{name}");
    let valid: Option<bool> = sqlx::query_scalar("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)")
        .bind(&name)
        .fetch_optional(&mut *connection)
        .await?;
    if valid == Some(false) {
        // Left by an attempt that was interrupted.
        batch(connection, &format!("DROP INDEX CONCURRENTLY {name}")).await?;
    }
    if valid != Some(true) {
        // It waits for the transactions of others, and holds none of them up.
        connection.execute("SET lock_timeout TO 0").await?;
        batch(connection, &format!("CREATE {kind} CONCURRENTLY {name} ON audit_events USING {definition}")).await?;
        connection.execute(LOCK_TIMEOUT).await?;
    }
    Ok(())
}

/// The moment under the lock: everything or nothing.
async fn exchange(connection: &mut PgConnection) -> Result<(), MigrateError> {
    let mut transaction = connection.begin().await?;
    transaction.execute("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").await?;
    let key: Option<String> = sqlx::query_scalar(
        "SELECT conname::text FROM pg_constraint WHERE conrelid = 'audit_events'::regclass AND contype = 'p'",
    )
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(key) = key {
        let sql = format!("ALTER TABLE audit_events DROP CONSTRAINT \"{}\"", key.replace('"', "\"\""));
        transaction.execute(AssertSqlSafe(sql)).await?;
    }
    let privileges: Vec<String> = sqlx::query_scalar(PRIVILEGES).fetch_all(&mut *transaction).await?;
    // Names that the migrations give, to whatever they belong.
    let taken: Vec<String> = sqlx::query_scalar(
        "SELECT i.relname::text FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
         WHERE x.indrelid = 'audit_events'::regclass AND i.relname NOT LIKE 'audit\\_events\\_default\\_%'",
    )
    .fetch_all(&mut *transaction)
    .await?;
    for name in taken {
        let quoted = name.replace('"', "\"\"");
        let sql = format!("ALTER INDEX \"{quoted}\" RENAME TO \"before_{}\"", &quoted[..quoted.len().min(50)]);
        transaction.execute(AssertSqlSafe(sql)).await?;
    }
    transaction
        .execute(
            "ALTER TABLE audit_events ADD CONSTRAINT audit_events_default_key PRIMARY KEY USING INDEX audit_events_default_time_key; \
             ALTER TABLE audit_events RENAME TO audit_events_existing",
        )
        .await?;
    migrations::run(&mut transaction).await?;
    transaction.execute("DROP TABLE audit_events_default").await?;
    amend::attempt(&mut transaction, &mut |_| {}).await?;
    // The new table has no partition, so that its indexes are exchanged at once.
    online::at_once(&mut transaction, Choice::default()).await?;
    transaction
        .execute(
            "ALTER TABLE audit_events_existing RENAME TO audit_events_default; \
             ALTER TABLE audit_events ATTACH PARTITION audit_events_default DEFAULT",
        )
        .await?;
    batch(&mut transaction, &no_truncate("audit_events_default")).await?;
    for privilege in privileges {
        transaction.execute(AssertSqlSafe(privilege)).await?;
    }
    transaction.commit().await?;
    Ok(())
}
