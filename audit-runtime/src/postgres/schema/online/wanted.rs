//! The indexes of `audit_events`, as PostgreSQL prints their definitions.
//!
//! An index is recognised by its definition, because partitions name theirs on their own.

/// An index: the end of its name, and its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) name: &'static str,
    pub(super) definition: &'static str,
}

const fn index(name: &'static str, definition: &'static str) -> Index {
    Index { name, definition }
}

/// The primary key, which also lists events in the order of their times.
pub(super) const KEY: Index = index("time_key", "btree (created_at, id)");

/// Indexes of the table and of every partition.
pub(super) const EVERYWHERE: [Index; 10] = [
    index("entity_bucket", "btree (entity_id, audit_bucket(created_at))"),
    index("correlation_bucket", "btree (correlation_id, audit_bucket(created_at))"),
    index("type_bucket", "btree (event_type text_pattern_ops, audit_bucket(created_at))"),
    index("actor_bucket", "btree (actor, audit_bucket(created_at))"),
    index("not_ok", "btree (outcome, created_at, id) WHERE (outcome <> 'ok'::text)"),
    index("causation", "btree (causation_id) WHERE (causation_id IS NOT NULL)"),
    index("data", "gin (data jsonb_path_ops)"),
    index("batch", "btree (batch_id) WHERE (batch_id IS NOT NULL)"),
    index("tenant", "btree (tenant, created_at) WHERE (tenant IS NOT NULL)"),
    index("targets", "gin (targets jsonb_path_ops) WHERE (targets IS NOT NULL)"),
];

/// Indexes of every partition alone, so that each can be dropped.
pub(super) const OF_PARTITIONS: [Index; 2] = [
    index("unbatched_time", "btree (created_at, id) WHERE (batch_id IS NULL)"),
    index("unbatched_id", "btree (id) WHERE (batch_id IS NULL)"),
];

/// An index of the partitions that are written to.
pub(super) const OF_WRITTEN: Index = index("started", "btree (batch_id) WHERE (outcome = 'started'::text)");

/// Indexes for other readers of the trading vocabulary, on request.
pub(super) const EXECUTION: [Index; 2] = [
    index("execution_recommendation", "hash (((data ->> 'recommendation_id'::text)))"),
    index("execution_order", "hash (((data ->> 'order_id'::text)))"),
];

/// Indexes of the migrations that the ones above replace.
pub(super) const SUPERSEDED: [Index; 9] = [
    index("entity", "btree (entity_id, created_at)"),
    index("correlation", "btree (correlation_id, created_at)"),
    index("type", "btree (event_type text_pattern_ops, created_at, id)"),
    index("actor", "btree (actor, created_at, id)"),
    index("time", "btree (created_at, id)"),
    index("recommendation", EXECUTION[0].definition),
    index("order", EXECUTION[1].definition),
    index("intent", OF_WRITTEN.definition),
    index("unbatched", OF_PARTITIONS[0].definition),
];

/// The unique index of batches: no two follow on the same one.
pub(super) const FOLLOW: &str = "audit_batches_follow";
pub(super) const FOLLOW_DEFINITION: &str = "(journal_id, coalesce(previous_position, -1)) WHERE root IS NOT NULL";
