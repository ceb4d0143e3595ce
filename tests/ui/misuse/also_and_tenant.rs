use audit_runtime::{AuditEvent, audited};
use uuid::Uuid;

#[audited(event = "transfer.booked", id = none, also(account))]
fn no_value(account: u64) {}

#[audited(event = "transfer.booked", id = none, also("account" = to))]
fn quoted_type(to: u64) {}

#[audited(event = "transfer.booked", id = none, also(account = "to"))]
fn quoted_parameter(to: u64) {}

#[audited(event = "transfer.booked", id = none, also = to)]
fn no_list(to: u64) {}

#[audited(event = "transfer.booked", id = none, also(= to))]
fn no_type(to: u64) {}

#[audited(event = "transfer.booked", id = none, tenant = |booked| booked)]
fn late_tenant(to: u64) -> u64 {
    to
}

#[audited(event = "transfer.booked", id = none, tenant = "")]
fn empty_tenant(to: u64) {}

#[audited(event = "transfer.booked", id = none, targets(account = to))]
fn other_name(to: u64) {}

#[derive(AuditEvent)]
#[audit(event = "transfer.booked", also(account = |booked| booked))]
struct Booked {
    transfer_id: Uuid,
}

fn main() {}
