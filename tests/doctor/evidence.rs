//! Findings about seals, checkpoints and what writers stored.

use crate::scene::{Provoked, Trail};

pub(crate) async fn checkpoint_missing() -> Provoked {
    let trail = Trail::recorded().await;
    trail.verify();
    trail.with(["--checkpoint-within", "0"])
}

pub(crate) async fn batches_uncovered() -> Provoked {
    let trail = Trail::healthy().await;
    trail.record(1).await;
    trail.with(["--checkpoint-within", "0"])
}

pub(crate) async fn rows_unsealed() -> Provoked {
    let trail = Trail::healthy().await;
    trail.sql("INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.b', 'a')").await;
    trail.with(["--checkpoint-within", "0"])
}

/// A batch of a writer, whose last event has another age than itself.
async fn batch(trail: &Trail, previous: &str, last_event_at: &str) {
    trail
        .sql(&format!(
            "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, created_at, last_event_at, previous_position) \
             VALUES (gen_random_uuid(), gen_random_uuid(), 8, 16, 0, 'desk@host:1', now() - interval '1 minute', {last_event_at}, {previous})"
        ))
        .await;
}

pub(crate) async fn batches_missing() -> Provoked {
    let trail = Trail::healthy().await;
    batch(&trail, "0", "now() - interval '1 minute'").await;
    trail.with([])
}

pub(crate) async fn quarantine() -> Provoked {
    let trail = Trail::healthy().await;
    trail
        .sql("INSERT INTO audit_quarantine (id, batch_id, error, payload) SELECT gen_random_uuid(), id, 'refused', '' FROM audit_batches LIMIT 1")
        .await;
    trail.with([])
}

pub(crate) async fn writer_clock_ahead() -> Provoked {
    let trail = Trail::healthy().await;
    batch(&trail, "NULL", "now() + interval '1 hour'").await;
    trail.with([])
}

pub(crate) async fn writer_late() -> Provoked {
    let trail = Trail::healthy().await;
    batch(&trail, "NULL", "now() - interval '20 minutes'").await;
    trail.with([])
}

#[tokio::test]
async fn what_is_covered_within_the_limit_is_no_finding() {
    let trail = Trail::recorded().await;
    trail.verify();
    let ran = trail.with([]).doctor();
    assert_eq!((ran.code, ran.names()), (0, Vec::new()), "{}", ran.stdout);
}
