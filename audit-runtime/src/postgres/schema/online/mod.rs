//! Steps that take long, and are taken while others read and write: indexes and keys.
//!
//! The files beside: [`wanted`] has the indexes, [`state`] reads those that exist, [`plan`] compares
//! both, and [`run`] takes the steps. No step waits longer than 200 ms for a lock that writers need.

mod compact;
mod plan;
mod run;
mod state;
mod wanted;

pub(crate) use compact::compact;
pub(crate) use plan::{Choice, Step};
pub(crate) use run::run;
pub(super) use run::{at_once, pending};

/// Returns the steps that a database takes behind the migrations alone.
pub(super) fn after_migrations(schema: &str, choice: Choice) -> Vec<Step> {
    plan::plan(&state::State::after_migrations(schema), choice)
}

/// Returns statements that create the indexes that a partition has of its own.
pub(crate) fn of_partition(table: &str, is_over: bool) -> String {
    let written = (!is_over).then_some(wanted::OF_WRITTEN);
    let indexes = wanted::OF_PARTITIONS.into_iter().chain(written);
    indexes.map(|index| format!("CREATE INDEX ON {table} USING {};", index.definition)).collect()
}

/// The ends of the names and the definitions of the indexes of a legacy table, with `{schema}`. The
/// first is unique, and becomes the primary key.
pub(super) fn of_legacy_table() -> Vec<(&'static str, String)> {
    let definition = |index: wanted::Index| index.definition.replace("audit_bucket", "{schema}.audit_bucket");
    let further = wanted::EVERYWHERE.into_iter().chain(wanted::OF_PARTITIONS).chain([wanted::OF_WRITTEN]);
    std::iter::once(wanted::KEY).chain(further).map(|index| (index.name, definition(index))).collect()
}
