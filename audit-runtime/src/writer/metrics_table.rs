//! The metrics: the name, the unit and the description of each, and where its value comes from.

use crate::recorder::stats::Stats;
use metrics::Unit;

/// A name, and what people read about it.
pub(super) struct Described {
    pub(super) name: &'static str,
    unit: Unit,
    text: &'static str,
}

/// A count since the start.
pub(super) struct Counter {
    pub(super) name: &'static str,
    text: &'static str,
    pub(super) value: fn(&Stats) -> u64,
}

/// A value at this moment.
pub(super) struct Gauge {
    pub(super) name: &'static str,
    unit: Unit,
    text: &'static str,
    pub(super) value: fn(&Stats) -> f64,
}

pub(super) const COUNTERS: &[Counter] = &[
    Counter {
        name: "audit_events_recorded_total",
        text: "Audit events that were to be recorded, the refused ones included.",
        value: |stats| stats.recorded,
    },
    Counter {
        name: "audit_events_stored_total",
        text: "Audit events that PostgreSQL has committed.",
        value: |stats| stats.stored,
    },
    Counter {
        name: "audit_events_refused_total",
        text: "Audit events that the journal did not take, which are lost.",
        value: |stats| stats.refused,
    },
    Counter {
        name: "audit_events_quarantined_total",
        text: "Audit events that PostgreSQL refused: audit-trail quarantine lists them.",
        value: |stats| stats.quarantined,
    },
    Counter {
        name: "audit_events_adopted_total",
        text: "Audit events of ended processes that this one has stored.",
        value: |stats| stats.adopted,
    },
    Counter {
        name: "audit_events_in_transactions_total",
        text: "Audit events that were inserted by transactions of the service.",
        value: |stats| stats.in_transactions,
    },
    Counter {
        name: "audit_events_rekeyed_total",
        text: "Audit events whose subject has a key that this process cannot unwrap.",
        value: |stats| stats.rekeyed,
    },
    Counter {
        name: "audit_redactions_total",
        text: "Times that personal values were redacted for lack of a master key.",
        value: |stats| stats.redacted,
    },
    Counter {
        name: "audit_batches_total",
        text: "Batches of audit events that were stored.",
        value: |stats| stats.batches,
    },
    Counter {
        name: "audit_batch_retries_total",
        text: "Attempts to store a batch that failed and were repeated.",
        value: |stats| stats.retries,
    },
    Counter {
        name: "audit_batch_conflicts_total",
        text: "Batches whose place in the database another batch occupies.",
        value: |stats| stats.conflicts,
    },
    Counter {
        name: "audit_journals_adopted_total",
        text: "Journals of ended processes that this one has stored and removed.",
        value: |stats| stats.adopted_journals,
    },
];

pub(super) const GAUGES: &[Gauge] = &[
    Gauge {
        name: "audit_events_pending",
        unit: Unit::Count,
        text: "Audit events in the journal that PostgreSQL does not have yet.",
        value: |stats| stats.pending as f64,
    },
    Gauge {
        name: "audit_lag_seconds",
        unit: Unit::Seconds,
        text: "The age of the oldest audit event that PostgreSQL does not have yet.",
        value: |stats| stats.lag.as_secs_f64(),
    },
    Gauge {
        name: "audit_journal_bytes",
        unit: Unit::Bytes,
        text: "Bytes that the journal takes on its disk.",
        value: |stats| stats.journal_bytes as f64,
    },
    Gauge {
        name: "audit_journal_used_bytes",
        unit: Unit::Bytes,
        text: "Bytes of the journal that are in use.",
        value: |stats| stats.journal_used as f64,
    },
    Gauge {
        name: "audit_journal_limit_bytes",
        unit: Unit::Bytes,
        text: "The most bytes that the journal may use.",
        value: |stats| stats.journal_limit as f64,
    },
    Gauge {
        name: "audit_journals_waiting",
        unit: Unit::Count,
        text: "Journals of ended processes that wait in the directory.",
        value: |stats| stats.inherited_journals as f64,
    },
];

pub(super) const HEALTH: Described = Described {
    name: "audit_health",
    unit: Unit::Count,
    text: "The health of the audit trail: 0 healthy, 1 degraded, 2 refusing events.",
};

pub(super) const LEFT_OUT: Described = Described {
    name: "audit_events_left_out_total",
    unit: Unit::Count,
    text: "Audit events that a rule of the policy left out.",
};

pub(super) const BATCH_ROWS: Described =
    Described { name: "audit_batch_rows", unit: Unit::Count, text: "Rows of a batch that was stored." };

pub(super) const COMMIT_SECONDS: Described =
    Described { name: "audit_commit_seconds", unit: Unit::Seconds, text: "How long the transaction of a batch took." };

/// Describes each metric to the recorder of metrics.
pub(super) fn describe() {
    for counter in COUNTERS {
        metrics::describe_counter!(counter.name, Unit::Count, counter.text);
    }
    metrics::describe_counter!(LEFT_OUT.name, LEFT_OUT.unit, LEFT_OUT.text);
    for gauge in GAUGES {
        metrics::describe_gauge!(gauge.name, gauge.unit, gauge.text);
    }
    metrics::describe_gauge!(HEALTH.name, HEALTH.unit, HEALTH.text);
    for histogram in [BATCH_ROWS, COMMIT_SECONDS] {
        metrics::describe_histogram!(histogram.name, histogram.unit, histogram.text);
    }
}
