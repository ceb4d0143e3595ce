use audit_runtime::{EntityId, audited};
use serde::Serialize;

#[derive(Clone, Copy, Serialize)]
struct Amount(f64);

#[audited(event = "transfer.booked", id = amount)]
fn id(amount: Amount) {}

#[audited(event = "transfer.booked", id = none, also(account = amount))]
fn also(amount: Amount) {}

#[audited(event = "transfer.booked", id = none, also(account = amounts))]
fn also_list(amounts: Vec<Amount>) {}

#[audited(event = "transfer.booked", id = none, also(account = |amount| amount))]
fn also_late() -> Amount {
    Amount(1.0)
}

#[audited(event = "transfer.booked", id = none, tenant = amount)]
fn tenant(amount: Amount) {}

#[derive(EntityId)]
struct Price(f64);

fn main() {}
