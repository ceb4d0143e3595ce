//! A database that holds a plain `audit_events` already: seven columns, written by others, who go on meanwhile.
//!
//! ```text
//! while they write   the columns it lacks | what must not be NULL is checked | every index of the new table, concurrently
//! for a moment       locked; renamed; the new tables made; the old one becomes their default partition
//! ```
//!
//! Whoever waits for the lock finds the new table by its name, and loses nothing. Until the last step, which is one transaction,
//! everything may be interrupted and begun again.

use super::partitions::{batch, no_truncate};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::time::Duration;

/// Held by the session that does it.
const LOCK: i64 = 0x6175_6469_7400_0001;
/// Who waits for a lock holds up everybody behind: not for longer than this, and then again.
pub(crate) const LOCK_TIMEOUT: &str = "SET lock_timeout TO '200ms'";
const ATTEMPTS: u32 = 300;

/// What the table has to have: names, types, whether NULL is allowed.
const COLUMNS: [(&str, &str, bool); 7] = [
    ("id", "uuid", false),
    ("event_type", "text", false),
    ("entity_type", "text", false),
    ("entity_id", "uuid", true),
    ("actor", "text", false),
    ("data", "jsonb", false),
    ("created_at", "timestamp with time zone", false),
];

/// What it gets.
const FURTHER: [(&str, &str); 7] = [
    ("outcome", "text NOT NULL DEFAULT 'ok'"),
    ("duration_us", "bigint"),
    ("correlation_id", "uuid"),
    ("causation_id", "uuid"),
    ("context", "jsonb"),
    ("origin", "text"),
    ("batch_id", "uuid"),
];

/// The indexes of the new table, by the ends of their names: those the migrations make. One that is missing here is made under the
/// lock.
const INDEXES: [(&str, &str); 13] = [
    ("entity", "(entity_id, created_at)"),
    ("recommendation", "USING hash ((data ->> 'recommendation_id'))"),
    ("order", "USING hash ((data ->> 'order_id'))"),
    ("time", "(created_at, id)"),
    ("correlation", "(correlation_id, created_at)"),
    ("type", "(event_type text_pattern_ops, created_at, id)"),
    ("actor", "(actor, created_at, id)"),
    ("not_ok", "(outcome, created_at, id) WHERE outcome <> 'ok'"),
    ("causation", "(causation_id) WHERE causation_id IS NOT NULL"),
    ("data", "USING gin (data jsonb_path_ops)"),
    ("batch", "(batch_id) WHERE batch_id IS NOT NULL"),
    ("intent", "(batch_id) WHERE outcome = 'started'"),
    ("unbatched", "(created_at, id) WHERE batch_id IS NULL"),
];

const DEPENDANTS: &str = "\
    SELECT 'table ' || conrelid::regclass || ' refers to it by a foreign key' FROM pg_constraint \
    WHERE confrelid = 'audit_events'::regclass AND contype = 'f' \
    UNION ALL SELECT DISTINCT 'view ' || r.ev_class::regclass || ' reads it' FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid \
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = 'audit_events'::regclass AND r.ev_class <> d.refobjid \
    UNION ALL SELECT 'trigger ' || tgname || ' fires on it' FROM pg_trigger WHERE tgrelid = 'audit_events'::regclass AND NOT tgisinternal \
    UNION ALL SELECT 'policy ' || polname || ' guards it' FROM pg_policy WHERE polrelid = 'audit_events'::regclass";

/// Who may do what with the table, as statements that say the same of the one that takes its name.
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
    let mut connection = turn(pool, LOCK).await?;
    // Another process may have done it while this one waited.
    let done = match is_plain(&mut connection).await {
        Ok(true) => take_in(&mut connection, tell).await,
        done => done.map(drop).map_err(Into::into),
    };
    let _ = connection.close().await;
    done
}

/// A session of its own, which holds this lock until it ends.
pub(crate) async fn turn(pool: &PgPool, lock: i64) -> Result<PgConnection, sqlx::Error> {
    let mut connection = pool.acquire().await?.detach();
    // Asked for again and again: a session that waits inside of a statement would hold up the indexes, which wait for it.
    while !sqlx::query_scalar::<_, bool>("SELECT pg_try_advisory_lock($1)")
        .bind(lock)
        .fetch_one(&mut connection)
        .await?
    {
        pause().await;
    }
    Ok(connection)
}

/// Whether `audit_events` is an ordinary table that none of the migrations made.
async fn is_plain(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let kind: Option<i8> = sqlx::query_scalar("SELECT relkind FROM pg_class WHERE oid = to_regclass('audit_events')")
        .fetch_optional(connection)
        .await?;
    Ok(kind == Some(b'r'.cast_signed()))
}

async fn take_in(connection: &mut PgConnection, tell: &mut impl FnMut(&str)) -> Result<(), MigrateError> {
    let rows: f32 = sqlx::query_scalar("SELECT reltuples FROM pg_class WHERE oid = to_regclass('audit_events')")
        .fetch_one(&mut *connection)
        .await?;
    // It is -1 where nobody has analysed the table yet.
    let rows = if rows < 0.0 { "rows that nobody has counted yet".into() } else { format!("about {rows:.0} rows") };
    tell(&format!("a plain table audit_events is here, of {rows}: it becomes a partition, its rows stay as they are"));
    // Nothing is changed before it is known to fit.
    let renamed = check(connection).await?;
    connection.execute(LOCK_TIMEOUT).await?;
    for name in renamed {
        execute(connection, &format!("ALTER TABLE audit_events ALTER COLUMN {name} TYPE text")).await?;
    }
    for (name, definition) in FURTHER {
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
    index(connection, "UNIQUE INDEX", "pkey", "(id, created_at)").await?;
    for (name, definition) in INDEXES {
        index(connection, "INDEX", name, definition).await?;
    }
    tell("exchanging the tables");
    let mut patience = Patience::default();
    while let Err(error) = exchange(connection).await {
        patience.outlast(error).await?;
    }
    Ok(())
}

/// Whether the table fits; gives the columns that are `text` by another name.
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
            // Of the same bytes: it is only called otherwise.
            Some((_, kind)) if kind == "character varying" && expected == "text" => renamed.push(name),
            Some((_, kind)) if kind != expected => {
                problems.push(format!("column {name} is {kind}, not {expected}: ALTER TABLE audit_events ALTER COLUMN {name} TYPE {expected}"));
            }
            Some(_) => {}
        }
    }
    let known = |name: &str| {
        COLUMNS.iter().any(|(known, ..)| *known == name) || FURTHER.iter().any(|(known, _)| *known == name)
    };
    for (name, _) in found.iter().filter(|(name, _)| !known(name)) {
        problems
            .push(format!("column {name} has no place in the audit trail: move it to a table of its own, or drop it"));
    }
    // Whatever hangs on the table itself would go with it to the partition, and see only that.
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
        execute(connection, &format!("DROP INDEX CONCURRENTLY {name}")).await?;
    }
    if valid != Some(true) {
        execute(connection, &format!("CREATE {kind} CONCURRENTLY {name} ON audit_events {definition}")).await?;
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
            "ALTER TABLE audit_events ADD CONSTRAINT audit_events_default_key PRIMARY KEY USING INDEX audit_events_default_pkey; \
             ALTER TABLE audit_events RENAME TO audit_events_existing",
        )
        .await?;
    super::run_migrations(&mut transaction).await?;
    transaction
        .execute(
            "DROP TABLE audit_events_default; ALTER TABLE audit_events_existing RENAME TO audit_events_default; \
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

/// How often somebody else's lock was in the way.
#[derive(Debug, Default)]
pub(crate) struct Patience(u32);

impl Patience {
    /// Waits, if it was, and not too often.
    ///
    /// # Errors
    /// The error was another one, or it is enough.
    pub(crate) async fn outlast(&mut self, error: MigrateError) -> Result<(), MigrateError> {
        if !is_busy(&error) {
            return Err(error);
        }
        self.0 += 1;
        if self.0 < ATTEMPTS {
            pause().await;
            return Ok(());
        }
        let text = format!(
            "somebody has held a lock of audit_events for minutes, as a long query or a verification does: run it again once that has ended ({error})"
        );
        Err(MigrateError::Source(text.into()))
    }
}

/// Executes statements, and again for a while when somebody else's lock is in the way.
pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) -> Result<(), MigrateError> {
    let mut patience = Patience::default();
    // A single statement is no transaction: some may not run in one.
    while let Err(error) = batch(connection, sql).await {
        patience.outlast(error.into()).await?;
    }
    Ok(())
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

fn is_busy(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    // Lock not available, deadlock.
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}
