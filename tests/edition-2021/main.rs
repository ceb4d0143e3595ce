//! Temporaries of a body's last expression live longer before edition 2024: they may still borrow the parameters.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use audit_runtime::testing::Probe;
use audit_runtime::{audited, Outcome};
use std::cell::RefCell;
use std::sync::Mutex;
use uuid::Uuid;

#[audited(event = "a.b", skip(counter))]
fn locked(id: Uuid, counter: Mutex<u8>) -> u8 {
    *counter.lock().unwrap()
}

#[audited(event = "a.b", skip(names))]
async fn borrowed(id: Uuid, names: RefCell<Vec<String>>) -> Option<usize> {
    names.borrow().first().map(String::len)
}

#[audited(event = "a.b")]
fn fallible(id: Uuid, text: String) -> Result<u8, std::num::ParseIntError> {
    if text.is_empty() {
        return Ok(0);
    }
    text.trim().parse()
}

#[audited(event = "a.b", skip(names), result = skip)]
fn opaque<'a>(id: Uuid, names: &'a RefCell<Vec<String>>) -> impl Iterator<Item = usize> + 'a {
    std::iter::repeat_with(move || names.borrow().len()).take(2)
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
    drop(entered);
    let outcomes: Vec<Outcome> = probe.events().iter().map(|event| event.outcome).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::Ok, Outcome::Ok, Outcome::Error, Outcome::Ok]);
}
