//! The steps from the indexes that a database has to those that it should have.
//!
//! ```text
//! while others write   every new index: on the table for partitions to come, on each partition concurrently, attached |
//!                      a unique index on each partition for the new primary key
//! for a moment         locked; the primary keys exchanged; the old indexes dropped
//! ```
//!
//! The plan follows from the catalogue alone. So a program that was killed at any step is continued
//! by the next one, and a step is done when it is no longer in the plan.

use super::state::{Existing, Follow, State, Table};
use super::wanted::{
    EVERYWHERE, EXECUTION, FOLLOW, FOLLOW_DEFINITION, Index, KEY, OF_PARTITIONS, OF_WRITTEN, SUPERSEDED,
};

/// A step: its purpose, and its statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) about: String,
    pub(crate) sql: Vec<String>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each statement stands alone.
    Statements,
    /// All of them are one transaction.
    Transaction,
    /// All of them are one transaction, which begins with the lock of `audit_events`.
    Exchange,
}

impl Step {
    /// Creates a step that is no step of this plan.
    pub(in super::super) fn transaction(about: String, sql: Vec<String>) -> Self {
        Self { about, sql, kind: Kind::Transaction }
    }

    /// Returns the statements as a script for `psql`.
    pub(crate) fn script(&self) -> String {
        let (begin, end) = match self.kind {
            Kind::Statements => ("", ""),
            Kind::Transaction | Kind::Exchange => ("BEGIN;\nSET LOCAL lock_timeout TO '200ms';\n", "COMMIT;\n"),
        };
        let statements: String =
            self.sql.iter().map(|sql| format!("{};\n", sql.trim_end().trim_end_matches(';'))).collect();
        format!("{begin}{statements}{end}")
    }
}

/// The indexes that a user chooses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Those for other readers of the trading vocabulary.
    pub(crate) execution: bool,
    /// Leaves the unique index of batches out, because two batches follow on one.
    pub(crate) without_follow: bool,
}

/// Returns the steps that are left, in their order.
pub(super) fn plan(state: &State, choice: Choice) -> Vec<Step> {
    let mut plan = Plan { state, steps: Vec::new() };
    plan.follow(choice);
    for index in EVERYWHERE {
        plan.everywhere(index);
    }
    for (index, old) in EXECUTION.into_iter().zip(["recommendation", "order"]) {
        if choice.execution || state.parent.named(&on_parent(index)).is_some() {
            plan.execution(index, old);
        }
    }
    for partition in &state.partitions {
        for index in OF_PARTITIONS.into_iter().chain((!partition.is_over).then_some(OF_WRITTEN)) {
            if alone(partition, index).is_none() {
                plan.create(partition, index, "INDEX", None);
            }
        }
    }
    plan.exchange(choice);
    plan.steps
}

/// Returns the indexes that only a month that is written to needs.
pub(super) fn superfluous(state: &State) -> Vec<(&Table, &Existing)> {
    let over = state.partitions.iter().filter(|partition| partition.is_over);
    over.filter_map(|partition| Some((partition, alone(partition, OF_WRITTEN)?))).collect()
}

struct Plan<'a> {
    state: &'a State,
    steps: Vec<Step>,
}

impl Plan<'_> {
    fn step(&mut self, about: String, sql: Vec<String>) {
        self.steps.push(Step { about, sql, kind: Kind::Statements });
    }

    /// An object of the schema.
    fn object(&self, name: &str) -> String {
        format!("{}.{}", self.state.schema, quoted(name))
    }

    fn definition(&self, index: Index) -> String {
        index.definition.replace("audit_bucket", &format!("{}.audit_bucket", self.state.schema))
    }

    fn follow(&mut self, choice: Choice) {
        if choice.without_follow || self.state.follow == Follow::Made {
            return;
        }
        let mut sql = Vec::new();
        if self.state.follow == Follow::Invalid {
            sql.push(format!("DROP INDEX CONCURRENTLY {}", self.object(FOLLOW)));
        }
        let table = self.object("audit_batches");
        sql.push(format!("CREATE UNIQUE INDEX CONCURRENTLY {FOLLOW} ON {table} {FOLLOW_DEFINITION}"));
        self.step("a unique index by which no two batches follow on the same one".into(), sql);
    }

    /// An index of the table for partitions to come, and of every partition.
    fn everywhere(&mut self, index: Index) {
        let name = match self.state.parent.like(index) {
            Some(existing) => existing.name.clone(),
            None => self.of_parent(index),
        };
        self.of_partitions(index, &name);
    }

    /// Creates an index of the table alone; returns its name.
    fn of_parent(&mut self, index: Index) -> String {
        let name = on_parent(index);
        let (table, definition) = (self.object("audit_events"), self.definition(index));
        let sql = format!("CREATE INDEX {name} ON ONLY {table} USING {definition}");
        self.step(format!("index {name} for partitions to come"), vec![sql]);
        name
    }

    /// Creates what partitions lack of an index of the table, and attaches it.
    fn of_partitions(&mut self, index: Index, parent: &str) {
        let state = self.state;
        for partition in &state.partitions {
            let mut like = partition.indexes.iter().filter(|existing| is_like(existing, index));
            if like.clone().any(|existing| existing.attached_to.as_deref() == Some(parent)) {
                continue;
            }
            match like.find(|existing| existing.attached_to.is_none()) {
                Some(existing) => {
                    let sql = self.attach(parent, &existing.name);
                    self.step(format!("index {} attached", existing.name), vec![sql]);
                }
                None => self.create(partition, index, "INDEX", Some(parent)),
            }
        }
    }

    fn attach(&self, parent: &str, index: &str) -> String {
        format!("ALTER INDEX {} ATTACH PARTITION {}", self.object(parent), self.object(index))
    }

    /// The hash indexes, which the migrations made under another name.
    fn execution(&mut self, index: Index, old: &str) {
        let name = on_parent(index);
        let old = format!("audit_events_{old}");
        match (self.state.parent.named(&name), self.state.parent.named(&old)) {
            (Some(_), _) => self.of_partitions(index, &name),
            (None, Some(existing)) if existing.definition == index.definition => {
                let sql = format!("ALTER INDEX {} RENAME TO {name}", self.object(&old));
                self.step(format!("index {old} kept as {name}"), vec![sql]);
                self.of_partitions(index, &old);
            }
            (None, _) => {
                self.of_parent(index);
                self.of_partitions(index, &name);
            }
        }
    }

    /// Creates an index of a partition while others write, and attaches it.
    fn create(&mut self, partition: &Table, index: Index, kind: &str, parent: Option<&str>) {
        let name = on_partition(partition, index);
        let mut sql = Vec::new();
        if partition.named(&name).is_some_and(|existing| !existing.is_valid) {
            sql.push(format!("DROP INDEX CONCURRENTLY {}", self.object(&name)));
        }
        let (table, definition) = (self.object(&partition.name), self.definition(index));
        sql.push(format!("CREATE {kind} CONCURRENTLY {} ON {table} USING {definition}", quoted(&name)));
        sql.extend(parent.map(|parent| self.attach(parent, &name)));
        self.step(format!("index {name}"), sql);
    }

    /// The primary keys, and the end of the indexes that are replaced.
    fn exchange(&mut self, choice: Choice) {
        let state = self.state;
        let old_key = state.parent.key().filter(|key| key.definition != KEY.definition);
        let mut keys = Vec::new();
        if old_key.is_some() {
            for partition in &state.partitions {
                if unique(partition).is_none() {
                    self.create(partition, KEY, "UNIQUE INDEX", None);
                }
                let index =
                    unique(partition).map_or_else(|| on_partition(partition, KEY), |existing| existing.name.clone());
                keys.push((partition, index));
            }
        }
        let dropped: Vec<String> = SUPERSEDED
            .into_iter()
            .filter(|old| !(choice.execution && EXECUTION.iter().any(|kept| kept.definition == old.definition)))
            .filter_map(|old| {
                let existing = state.parent.named(&on_parent(old))?;
                (existing.definition == old.definition && existing.key.is_none()).then(|| self.object(&existing.name))
            })
            .collect();
        if old_key.is_none() && dropped.is_empty() {
            return;
        }
        let parent = self.object("audit_events");
        let mut sql = vec![format!("LOCK TABLE {parent} IN ACCESS EXCLUSIVE MODE")];
        if let Some(name) = old_key.and_then(|key| key.key.as_deref()) {
            sql.push(format!("ALTER TABLE {parent} DROP CONSTRAINT {}", quoted(name)));
            for (partition, index) in &keys {
                let (table, key) = (self.object(&partition.name), quoted(&key_name(&partition.name)));
                sql.push(format!("ALTER TABLE {table} ADD CONSTRAINT {key} PRIMARY KEY USING INDEX {}", quoted(index)));
            }
            let key = key_name("audit_events");
            sql.push(format!("ALTER TABLE ONLY {parent} ADD CONSTRAINT {key} PRIMARY KEY (created_at, id)"));
            sql.extend(keys.iter().map(|(partition, _)| self.attach(&key, &key_name(&partition.name))));
        }
        if !dropped.is_empty() {
            sql.push(format!("DROP INDEX {}", dropped.join(", ")));
        }
        let keys = if old_key.is_some() { "the primary key exchanged, " } else { "" };
        let about = format!("{keys}{} old indexes dropped, under a lock for a moment", dropped.len());
        self.steps.push(Step { about, sql, kind: Kind::Exchange });
    }
}

fn is_like(existing: &Existing, index: Index) -> bool {
    existing.is_valid && existing.key.is_none() && existing.definition == index.definition
}

/// Returns an index of this definition that belongs to the partition alone.
fn alone(partition: &Table, index: Index) -> Option<&Existing> {
    partition.indexes.iter().find(|existing| is_like(existing, index) && existing.attached_to.is_none())
}

/// Returns the index that becomes the partition's primary key.
fn unique(partition: &Table) -> Option<&Existing> {
    partition
        .indexes
        .iter()
        .find(|existing| existing.is_unique && is_like(existing, KEY) && existing.attached_to.is_none())
}

fn on_parent(index: Index) -> String {
    format!("audit_events_{}", index.name)
}

fn on_partition(partition: &Table, index: Index) -> String {
    joined(&partition.name, index.name)
}

fn key_name(table: &str) -> String {
    joined(table, "pkey")
}

/// Joins a table's name and an ending, within the 63 bytes of a name.
fn joined(table: &str, end: &str) -> String {
    let mut length = table.len().min(62 - end.len());
    while !table.is_char_boundary(length) {
        length -= 1;
    }
    format!("{}_{end}", &table[..length])
}

/// Quotes a name.
pub(super) fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_plain) {
        return format!("\"{}\"", name.replace('"', "\"\""));
    }
    name.to_owned()
}

#[cfg(test)]
mod tests;
