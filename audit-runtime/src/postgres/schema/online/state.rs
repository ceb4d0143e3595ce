//! The indexes that a database has.

use super::wanted::{EVERYWHERE, FOLLOW, Index, SUPERSEDED};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Executor, Row};
use std::time::Duration;

/// `audit_events`, its partitions, and their indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// The schema's name, quoted.
    pub(super) schema: String,
    pub(super) parent: Table,
    pub(super) partitions: Vec<Table>,
    pub(super) follow: Follow,
    /// The bytes of all rows.
    pub(super) bytes: i64,
}

/// A table and its indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    /// Whether its month has been over for a day.
    pub(super) is_over: bool,
    pub(super) indexes: Vec<Existing>,
}

/// An index that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Existing {
    pub(super) name: String,
    /// Everything behind `USING`.
    pub(super) definition: String,
    pub(super) is_valid: bool,
    pub(super) is_unique: bool,
    /// The name of the primary key whose index it is.
    pub(super) key: Option<String>,
    /// The index of the parent to which it is attached.
    pub(super) attached_to: Option<String>,
    pub(super) bytes: i64,
}

/// The unique index of batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    Made,
    /// It was interrupted while it was built.
    Invalid,
    Missing,
}

const SQL: &str = "\
    SELECT quote_ident(n.nspname), t.relname::text, t.oid = to_regclass('audit_events'), \
    coalesce((regexp_match(pg_get_expr(t.relpartbound, t.oid), $$TO \\('([^']+)'\\)$$))[1]::timestamptz < now() - interval '1 day', false), \
    pg_relation_size(t.oid)::bigint, i.relname::text, \
    replace(regexp_replace(pg_get_indexdef(i.oid), '^.*? USING ', ''), quote_ident(n.nspname) || '.audit_bucket', 'audit_bucket'), \
    x.indisvalid, x.indisunique, k.conname::text, p.relname::text, pg_relation_size(i.oid)::bigint \
    FROM (SELECT to_regclass('audit_events')::oid AS oid UNION ALL \
    SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('audit_events') AND NOT inhdetachpending) r \
    JOIN pg_class t ON t.oid = r.oid AND (t.relispartition OR t.relkind = 'p') JOIN pg_namespace n ON n.oid = t.relnamespace \
    LEFT JOIN pg_index x ON x.indrelid = t.oid LEFT JOIN pg_class i ON i.oid = x.indexrelid \
    LEFT JOIN pg_constraint k ON k.conindid = i.oid AND k.conrelid = t.oid AND k.contype = 'p' \
    LEFT JOIN pg_inherits h ON h.inhrelid = i.oid LEFT JOIN pg_class p ON p.oid = h.inhparent \
    ORDER BY 3 DESC, 2, 6";

/// Reads it; `None` where `audit_events` is no partitioned table. Every role may.
pub(super) async fn read(connection: &mut PgConnection) -> Result<Option<State>, sqlx::Error> {
    let rows = rows(connection).await?;
    let mut tables: Vec<Table> = Vec::new();
    let (mut schema, mut bytes) = (String::new(), 0);
    for row in &rows {
        let name: String = row.try_get(1)?;
        if tables.last().is_none_or(|last| last.name != name) {
            schema = row.try_get(0)?;
            bytes += row.try_get::<Option<i64>, _>(4)?.unwrap_or(0);
            tables.push(Table { name, is_over: row.try_get(3)?, indexes: Vec::new() });
        }
        if let (Some(index), Some(table)) = (existing(row)?, tables.last_mut()) {
            table.indexes.push(index);
        }
    }
    if tables.is_empty() {
        return Ok(None);
    }
    let partitions = tables.split_off(1);
    let Some(parent) = tables.pop() else {
        return Ok(None);
    };
    let follow = format!(
        "SELECT x.indisvalid FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
         WHERE x.indrelid = to_regclass('audit_batches') AND i.relname = '{FOLLOW}'"
    );
    let follow = match connection.fetch_optional(sqlx::raw_sql(AssertSqlSafe(follow))).await? {
        None => Follow::Missing,
        Some(row) if row.try_get(0)? => Follow::Made,
        Some(_) => Follow::Invalid,
    };
    Ok(Some(State { schema, parent, partitions, follow, bytes }))
}

async fn rows(connection: &mut PgConnection) -> Result<Vec<PgRow>, sqlx::Error> {
    let mut attempts = 0;
    loop {
        // A simple query: a pooler in transaction mode may answer each message from another connection.
        match connection.fetch_all(sqlx::raw_sql(SQL)).await {
            // Another session dropped an index between its row in the catalogue and its definition.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("XX000") && attempts < 20 => {
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            rows => return rows,
        }
    }
}

fn existing(row: &PgRow) -> Result<Option<Existing>, sqlx::Error> {
    let Some(name) = row.try_get(5)? else {
        return Ok(None);
    };
    Ok(Some(Existing {
        name,
        definition: row.try_get(6)?,
        is_valid: row.try_get(7)?,
        is_unique: row.try_get(8)?,
        key: row.try_get(9)?,
        attached_to: row.try_get(10)?,
        bytes: row.try_get::<Option<i64>, _>(11)?.unwrap_or(0),
    }))
}

impl State {
    /// Returns the state behind the migrations alone, which make the default partition.
    pub(super) fn after_migrations(schema: &str) -> Self {
        let made = SUPERSEDED.iter().chain(&EVERYWHERE[4..8]).map(|index| (index.name, index.definition, false));
        let made: Vec<_> = std::iter::once(("pkey", "btree (id, created_at)", true)).chain(made).collect();
        let table = |name: &str, attached: bool| Table {
            name: name.into(),
            is_over: false,
            indexes: made
                .iter()
                .map(|(end, definition, is_key)| Existing {
                    name: format!("{name}_{end}"),
                    definition: (*definition).into(),
                    is_valid: true,
                    is_unique: *is_key,
                    key: is_key.then(|| format!("{name}_{end}")),
                    attached_to: attached.then(|| format!("audit_events_{end}")),
                    bytes: 0,
                })
                .collect(),
        };
        Self {
            schema: schema.into(),
            parent: table("audit_events", false),
            partitions: vec![table("audit_events_default", true)],
            follow: Follow::Missing,
            bytes: 0,
        }
    }
}

impl Table {
    /// Returns the index of that name.
    pub(super) fn named(&self, name: &str) -> Option<&Existing> {
        self.indexes.iter().find(|index| index.name == name)
    }

    /// Returns the primary key's index.
    pub(super) fn key(&self) -> Option<&Existing> {
        self.indexes.iter().find(|index| index.key.is_some())
    }

    /// Returns a plain index of that definition, which may be an invalid one of a parent.
    pub(super) fn like(&self, wanted: Index) -> Option<&Existing> {
        self.indexes.iter().find(|index| index.key.is_none() && index.definition == wanted.definition)
    }
}
