//! What `#[audited]` accepts, refuses and records.
