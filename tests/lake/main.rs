//! The lake: what `audit-trail lake sync` writes, and who can read and verify it.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod asked;
mod attacks;
mod engines;
mod exact;
mod month;
mod pruned;
mod rewrite;
mod s3;
mod scene;
mod signing;
mod sync;
#[path = "../evidence/scene.rs"]
mod trail;
