//! The lints that only some turn on, or that contradict others: users' functions draw none of them
//! either.

#![deny(
    warnings,
    clippy::implicit_return,
    clippy::shadow_reuse,
    clippy::shadow_same,
    clippy::shadow_unrelated,
    clippy::pattern_type_mismatch,
    clippy::question_mark_used,
    clippy::let_underscore_untyped,
    clippy::let_underscore_must_use,
    clippy::as_conversions,
    clippy::absolute_paths,
    clippy::default_numeric_fallback,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::str_to_string,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::std_instead_of_core,
    clippy::ref_patterns,
    clippy::unused_trait_names,
    clippy::redundant_type_annotations,
    clippy::missing_assert_message,
    clippy::wildcard_enum_match_arm,
    clippy::exhaustive_structs,
    clippy::missing_inline_in_public_items,
    clippy::impl_trait_in_params,
    clippy::large_stack_frames,
    clippy::else_if_without_else,
    clippy::integer_division_remainder_used,
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    unused_results,
    let_underscore_drop,
    unused_import_braces,
    unused_lifetimes,
    missing_copy_implementations,
    trivial_casts,
    trivial_numeric_casts
)]
#![expect(clippy::needless_return, reason = "the opposite of implicit_return")]

use crate::support::{ID, caught, caught_later};
use audit_runtime::testing::Probe;
use audit_runtime::{Audit, Outcome, RecordError, audited};
use core::future::ready;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// Fallible, with an early return.
#[audited(event = "order.submitted", err = "order.rejected", fields(long = ticker.len() > 3, late = |out| *out))]
fn submit(order_id: Uuid, ticker: &str, quantity: u32, _reserved: u8) -> Result<u32, String> {
    if ticker.is_empty() {
        return Err(String::from("no ticker"));
    }
    return Ok(quantity);
}

/// The same, asynchronous.
#[audited(event = |_| "order.submitted", err = |_| "order.rejected", entity = "order", id = |_| ID, when = |out| *out > 0)]
async fn submit_later(ticker: &str, mut quantity: u32, _: u8) -> Result<u32, String> {
    ready(()).await;
    if ticker.is_empty() {
        return Err(String::from("no ticker"));
    }
    quantity = quantity.saturating_add(1);
    return Ok(quantity);
}

/// Returns nothing.
#[audited(event = "a.b", id = ID, actor = number, redact(secret))]
fn nothing(number: u8, secret: &str) {}

/// A future, by hand.
#[audited(event = "a.b", id = ID)]
fn future(number: u8) -> impl Future<Output = u8> + Send {
    return ready(number);
}

/// The records made before the body runs, and the changes.
#[audited(event = "a.b", id = ID, required, changes(number))]
async fn change(number: &mut u8) -> Result<u8, RecordError> {
    ready(()).await;
    *number = number.saturating_add(1);
    return Ok(*number);
}

/// In the caller's transaction.
#[audited(event = "a.b", id = ID, tx = connection, intent)]
async fn insert(connection: &mut PgConnection, number: u8) -> Result<u8, sqlx::Error> {
    ready(()).await;
    connection.shrink_buffers();
    return Ok(number);
}

/// With a handle that only the attribute uses.
#[audited(event = "a.b", id = ID, recorder = audit)]
fn recorded(audit: &Audit, number: u8) {}

#[test]
fn they_are_recorded_too() {
    let probe = Probe::new();
    let _unused = insert;
    recorded(probe.audit(), 3);
    assert_eq!(probe.events().len(), 1, "recorded");
    let (returned, event) = caught(|| return submit(ID, "AAPL", 3, 0));
    assert_eq!((returned, event.outcome), (Ok(3), Outcome::Ok), "submitted");
    let (refused, rejected) = caught_later(submit_later("", 3, 0));
    assert_eq!((refused.is_err(), rejected.outcome), (true, Outcome::Error), "rejected");
    assert_eq!(caught(|| return nothing(3, "x")).1.actor, "3", "nothing");
    assert_eq!(caught_later(async { return future(3).await }).0, 3, "a future");
    let changed = Probe::new();
    assert_eq!(pollster::block_on(changed.scope(change(&mut 1))), Ok(2), "changed");
    assert_eq!(changed.events().len(), 2, "an intent and its completion");
}
