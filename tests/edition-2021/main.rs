//! Temporaries of a body's last expression live longer before edition 2024: they may still borrow
//! the parameters.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::cell::RefCell;
use std::future::Future;
use std::sync::Mutex;
use trail::testing::Probe;
use trail::{audited, AuditEvent, Outcome};
use uuid::Uuid;

#[audited(crate = trail, event = "a.b", skip(counter))]
fn locked(id: Uuid, counter: Mutex<u8>) -> u8 {
    *counter.lock().unwrap()
}

#[audited(crate = trail, event = "a.b", skip(names))]
async fn borrowed(id: Uuid, names: RefCell<Vec<String>>) -> Option<usize> {
    names.borrow().first().map(String::len)
}

#[audited(crate = trail, event = "a.b")]
fn fallible(id: Uuid, text: String) -> Result<u8, std::num::ParseIntError> {
    if text.is_empty() {
        return Ok(0);
    }
    text.trim().parse()
}

#[audited(crate = trail, event = "a.b", skip(names), result = skip)]
fn opaque<'a>(id: Uuid, names: &'a RefCell<Vec<String>>) -> impl Iterator<Item = usize> + 'a {
    std::iter::repeat_with(move || names.borrow().len()).take(2)
}

#[audited(crate = trail, event = "a.b", skip(names), result = skip, changes(count), required)]
async fn lent(id: Uuid, names: RefCell<Vec<String>>, count: &mut usize) -> Result<usize, trail::RecordError> {
    *count += 1;
    Ok(names.borrow().first().map_or(0, String::len))
}

#[audited(crate = trail, event = "a.b", changes(count))]
fn lent_to_a_block<'a>(id: Uuid, count: &'a mut usize) -> impl Future<Output = usize> + 'a {
    async move {
        *count += 1;
        RefCell::new(*count).borrow().to_owned()
    }
}

#[derive(AuditEvent)]
#[audit(crate = trail, event = "order.noted")]
struct Noted {
    order_id: Uuid,
}

#[test]
fn a_derived_event_finds_the_runtime_by_its_other_name_too() {
    let probe = Probe::new();
    probe.audit().record(Noted { order_id: Uuid::nil() }).unwrap();
    assert_eq!(probe.only("order.noted").entity_id, Some(Uuid::nil()));
}

#[test]
fn parameters_outlive_what_the_last_expression_borrows() {
    let probe = Probe::new();
    let entered = probe.enter();
    let names = || RefCell::new(vec![String::from("abc")]);
    assert_eq!(locked(Uuid::nil(), Mutex::new(3)), 3);
    assert_eq!(pollster::block_on(borrowed(Uuid::nil(), names())), Some(3));
    assert_eq!(fallible(Uuid::nil(), "7".into()), Ok(7));
    assert!(fallible(Uuid::nil(), "x".into()).is_err());
    assert_eq!(opaque(Uuid::nil(), &names()).sum::<usize>(), 2);
    let mut count = 1;
    assert_eq!(pollster::block_on(lent(Uuid::nil(), names(), &mut count)), Ok(3));
    assert_eq!(pollster::block_on(lent_to_a_block(Uuid::nil(), &mut count)), 3);
    drop(entered);
    assert_eq!(probe.events().pop().unwrap().data["changes"]["count"]["to"], 3);
    let outcomes: Vec<Outcome> = probe.events().iter().map(|event| event.outcome).collect();
    assert_eq!(outcomes[..5], [Outcome::Ok, Outcome::Ok, Outcome::Ok, Outcome::Error, Outcome::Ok]);
    assert_eq!(outcomes[5..], [Outcome::Started, Outcome::Ok, Outcome::Ok]);
}
