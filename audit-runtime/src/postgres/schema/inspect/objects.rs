//! Tables with their columns, triggers, rules and indexes.

use super::problem::{SchemaProblem, SchemaProblemKind};
use crate::postgres::schema::check::TRIGGERS;
use sqlx::postgres::PgConnection;

/// The tables and the view, with the names and types of their columns.
const COLUMNS: &[(&str, &str)] = &[
    (
        "audit_events",
        "id uuid, event_type text, entity_type text, entity_id uuid, actor text, data jsonb, created_at timestamp with time zone, \
         outcome text, duration_us bigint, correlation_id uuid, causation_id uuid, context jsonb, origin text, batch_id uuid, \
         entity_key text, targets jsonb, tenant text",
    ),
    (
        "audit_batches",
        "id uuid, journal_id uuid, first_position bigint, end_position bigint, rows integer, origin text, created_at timestamp \
         with time zone, first_event_at timestamp with time zone, last_event_at timestamp with time zone, previous_position \
         bigint, previous_root bytea, open_positions bytea, root bytea, leaves bytea, xact xid8, leaf_form smallint, lineage text",
    ),
    (
        "audit_quarantine",
        "id uuid, batch_id uuid, sqlstate text, error text, payload bytea, created_at timestamp with time zone",
    ),
    ("audit_late", "event_id uuid, created_at timestamp with time zone, batch_id uuid"),
    ("audit_tree", "number bigint, batch_id uuid, leaf bytea"),
    (
        "audit_checkpoints",
        "id bigint, tree_size bigint, note text, frontier bytea, created_at timestamp with time zone",
    ),
    ("audit_pruned", "batch_id uuid, event_id uuid, rows integer, ids bytea"),
    (
        "audit_keys",
        "id uuid, subject text, wrapped bytea, created_at timestamp with time zone, destroyed_at timestamp with time zone",
    ),
    ("audit_journals", "journal_id uuid, role text, bound_at timestamp with time zone"),
    ("audit_schema", "version integer, applied_at timestamp with time zone"),
    ("audit_tenants", "role text, tenant text"),
    (
        "audit_tenant_events",
        "id uuid, event_type text, entity_type text, entity_id uuid, actor text, data jsonb, created_at timestamp with time zone, \
         outcome text, duration_us bigint, correlation_id uuid, causation_id uuid, context jsonb, origin text, batch_id uuid, \
         entity_key text, targets jsonb, tenant text",
    ),
    (
        "audit_catalogue",
        "service text, version text, digest bytea, functions jsonb, origin text, first_seen_at timestamp with time zone",
    ),
    ("audit_retried", "event_id uuid, batch_id uuid, lineage text, xact xid8"),
    (
        "audit_feeds",
        "name text, target text, form text, conditions text, position text, sent bigint, set_aside bigint, has_taken boolean, \
         paused boolean, waits_for text, created_at timestamp with time zone, moved_at timestamp with time zone",
    ),
    (
        "audit_set_aside",
        "feed text, event_id uuid, event_at timestamp with time zone, error text, created_at timestamp with time zone",
    ),
    ("audit_timestamps", "checkpoint_id bigint, authority text, token bytea, created_at timestamp with time zone"),
    (
        "audit_holds",
        "id uuid, entity_type text, entity_id uuid, entity_key text, tenant text, event_type text, event_actor text, reason text, \
         actor text, created_at timestamp with time zone, lifted_at timestamp with time zone, lifted_by text, lift_reason text",
    ),
];

/// Bits of `pg_trigger.tgtype`, by the words of a statement.
const BITS: [(&str, i16); 6] =
    [("FOR EACH ROW", 1), ("BEFORE ", 2), ("INSERT", 4), ("DELETE", 8), ("UPDATE", 16), ("TRUNCATE", 32)];

/// The trigger by which moves of rows mirror what arrives.
const MIRROR: &str = "audit_mirror";

pub(super) async fn inspect(
    connection: &mut PgConnection,
    schema: &str,
    problems: &mut Vec<SchemaProblem>,
) -> Result<(), sqlx::Error> {
    columns(connection, schema, problems).await?;
    triggers(connection, schema, problems).await?;
    foreign(connection, problems).await
}

/// Tables and columns that are missing, or of another type.
async fn columns(
    connection: &mut PgConnection,
    schema: &str,
    problems: &mut Vec<SchemaProblem>,
) -> Result<(), sqlx::Error> {
    let sql = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod) \
         FROM pg_class t JOIN pg_class c ON c.relnamespace = t.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE t.oid = 'audit_events'::regclass AND c.relname = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped";
    let names: Vec<&str> = COLUMNS.iter().map(|(table, _)| *table).collect();
    let found: Vec<(String, String, String)> =
        sqlx::query_as(sql).persistent(false).bind(names).fetch_all(connection).await?;
    for (table, columns) in COLUMNS {
        let of: Vec<_> = found.iter().filter(|(name, ..)| name == table).collect();
        if of.is_empty() {
            problems.push(SchemaProblem::new(
                SchemaProblemKind::Missing,
                format!("{table} is missing"),
                format!("pg_restore --table={table} of the last backup, whose rows belong to the trail; then audit-trail migrate"),
            ));
            continue;
        }
        for column in columns.split(", ") {
            let (name, kind) = column.split_once(' ').unwrap_or((column, ""));
            match of.iter().find(|(_, found, _)| found == name) {
                None => problems.push(SchemaProblem::new(
                    SchemaProblemKind::Missing,
                    format!("column {name} of {table} is missing"),
                    format!("ALTER TABLE {schema}.{table} ADD COLUMN {name} {kind};"),
                )),
                Some((_, _, found)) if found != kind => problems.push(SchemaProblem::new(
                    SchemaProblemKind::Differs,
                    format!("column {name} of {table} has the type {found} in place of {kind}"),
                    format!("ALTER TABLE {schema}.{table} ALTER COLUMN {name} TYPE {kind};"),
                )),
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// Triggers of the trail's names that fire otherwise, or call another function.
async fn triggers(
    connection: &mut PgConnection,
    schema: &str,
    problems: &mut Vec<SchemaProblem>,
) -> Result<(), sqlx::Error> {
    let sql = "SELECT c.relname::text, g.tgname::text, g.tgtype, p.proname::text, g.tgqual IS NOT NULL OR g.tgattr::text <> '' \
         FROM pg_class t JOIN pg_class c ON c.relnamespace = t.relnamespace JOIN pg_trigger g ON g.tgrelid = c.oid \
         JOIN pg_proc p ON p.oid = g.tgfoid WHERE t.oid = 'audit_events'::regclass AND g.tgname = ANY ($1) ORDER BY 1, 2";
    let names: Vec<&str> = TRIGGERS.iter().map(|(_, name, ..)| *name).collect();
    let found: Vec<(String, String, i16, String, bool)> =
        sqlx::query_as(sql).persistent(false).bind(names).fetch_all(connection).await?;
    for (table, name, kind, function, is_narrowed) in found {
        let Some((.., event, calls)) = TRIGGERS.iter().find(|(_, wanted, ..)| *wanted == name) else { continue };
        let wanted: i16 = BITS.iter().filter(|(word, _)| event.contains(word)).map(|(_, bit)| bit).sum();
        if wanted == kind && calls.trim_end_matches("()") == function && !is_narrowed {
            continue;
        }
        let event = event.replace("{}", &format!("{schema}.{table}"));
        problems.push(SchemaProblem::new(
            SchemaProblemKind::Differs,
            format!("trigger {name} of {table} differs from the one that the migration makes"),
            format!(
                "BEGIN; DROP TRIGGER {name} ON {schema}.{table}; CREATE TRIGGER {name} {event} EXECUTE FUNCTION {schema}.{calls}; COMMIT;"
            ),
        ));
    }
    Ok(())
}

/// Triggers and rules of others that change or swallow rows, and security by rows, under which COPY
/// is refused.
async fn foreign(connection: &mut PgConnection, problems: &mut Vec<SchemaProblem>) -> Result<(), sqlx::Error> {
    let sql = "WITH audited AS (SELECT c.oid, c.relrowsecurity, c.relkind FROM pg_class t JOIN pg_class c ON c.relnamespace = t.relnamespace \
         WHERE t.oid = 'audit_events'::regclass AND (c.relname = ANY ($1) OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = t.oid))) \
         SELECT format('trigger %I of %s is not of the audit trail, and may change rows before they are stored', g.tgname, a.oid::regclass), \
         format('DROP TRIGGER %I ON %s;', g.tgname, a.oid::regclass) \
         FROM audited a JOIN pg_trigger g ON g.tgrelid = a.oid \
         WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgtype & 2 <> 0 AND g.tgname <> ALL ($2) \
         UNION ALL SELECT format('rule %I of %s is not of the audit trail, and may swallow rows', r.rulename, a.oid::regclass), \
         format('DROP RULE %I ON %s;', r.rulename, a.oid::regclass) \
         FROM audited a JOIN pg_rewrite r ON r.ev_class = a.oid WHERE a.relkind IN ('r', 'p') \
         UNION ALL SELECT format('%s has row-level security, under which PostgreSQL refuses the COPY of writers', a.oid::regclass), \
         format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY;', a.oid::regclass) FROM audited a WHERE a.relrowsecurity";
    let tables: Vec<&str> = COLUMNS.iter().map(|(table, _)| *table).collect();
    let known: Vec<&str> = TRIGGERS.iter().map(|(_, name, ..)| *name).chain([MIRROR]).collect();
    let found: Vec<(String, String)> =
        sqlx::query_as(sql).persistent(false).bind(tables).bind(known).fetch_all(connection).await?;
    for (about, remedy) in found {
        problems.push(SchemaProblem::new(SchemaProblemKind::Differs, about, remedy));
    }
    Ok(())
}

/// Indexes that an interrupted build left. Returns their names.
pub(super) async fn invalid_indexes(
    connection: &mut PgConnection,
    problems: &mut Vec<SchemaProblem>,
) -> Result<Vec<String>, sqlx::Error> {
    let sql = "SELECT i.relname::text, i.oid::regclass::text, c.relname::text \
         FROM pg_class t JOIN pg_class c ON c.relnamespace = t.relnamespace JOIN pg_index x ON x.indrelid = c.oid \
         JOIN pg_class i ON i.oid = x.indexrelid AND i.relkind = 'i' \
         WHERE t.oid = 'audit_events'::regclass AND (c.relname = ANY ($1) OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = t.oid)) \
         AND NOT (x.indisvalid AND x.indisready) \
         AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index b WHERE b.index_relid = i.oid) ORDER BY 1";
    let tables: Vec<&str> = COLUMNS.iter().map(|(table, _)| *table).collect();
    let found: Vec<(String, String, String)> =
        sqlx::query_as(sql).persistent(false).bind(tables).fetch_all(connection).await?;
    let mut names = Vec::new();
    for (name, qualified, table) in found {
        problems.push(SchemaProblem::new(
            SchemaProblemKind::InvalidIndex,
            format!("index {name} of {table} is invalid: its build was interrupted"),
            format!("DROP INDEX CONCURRENTLY {qualified}; -- then: audit-trail migrate"),
        ));
        names.push(name);
    }
    Ok(names)
}
