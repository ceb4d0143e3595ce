//! The cost of a look for secrets: at names, at texts, and in whole values beside `serde_json`,
//! which does not look.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark fails by panicking, and its macros make public items"
)]

mod results;

use audit_runtime::__private::looking;
use audit_runtime::audited;
use audit_runtime::testing::Probe;
use results::Rounds;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;
use uuid::Uuid;

const ROUNDS: usize = 40;
const LOOKS: u64 = 20_000;
const CALLS: u64 = 400;

#[audited(event = "request.seen", id = None::<Uuid>)]
fn seen(headers: &BTreeMap<String, String>) {
    black_box(headers);
}

/// Nanoseconds a look, by ways that take turns.
fn turns(ways: &mut [(&'static str, u64, &mut dyn FnMut())]) -> BTreeMap<&'static str, Rounds> {
    let mut table: BTreeMap<&'static str, Rounds> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (way, times, look) in &mut *ways {
            let begin = Instant::now();
            (0..*times).for_each(|_| look());
            table.entry(way).or_default().add(begin.elapsed().as_nanos() as f64 / *times as f64);
        }
    }
    table
}

fn main() {
    let long = "a text of no secret at all, which goes on for a while. ".repeat(6);
    let url = "cannot reach postgres://desk:hunter2@db.example.com:5432/desk: refused";
    let headers: BTreeMap<String, String> =
        ["accept", "content-length", "content-type", "host", "origin", "user-agent", "via", "x-forwarded-for"]
            .map(|name| (name.to_owned(), format!("value of {name}")))
            .into();
    let probe = Probe::new();
    let _entered = probe.enter();
    let table = turns(&mut [
        ("a field's name, remembered", LOOKS, &mut || _ = black_box(looking::at_a_field(black_box("customer_name")))),
        ("a key, account_type", LOOKS, &mut || _ = black_box(looking::at_a_name(black_box("account_type")))),
        ("a key, access_token", LOOKS, &mut || _ = black_box(looking::at_a_name(black_box("access_token")))),
        ("a text of 4 bytes", LOOKS, &mut || _ = black_box(looking::at_a_text(black_box("AAPL")))),
        ("a text of 330 bytes", LOOKS, &mut || _ = black_box(looking::at_a_text(black_box(&long)))),
        ("a text with a URL to mask", LOOKS, &mut || _ = black_box(looking::at_a_text(black_box(url)))),
        ("a call with eight headers", CALLS, &mut || seen(black_box(&headers))),
        ("serde_json of eight headers", CALLS, &mut || _ = black_box(serde_json::to_vec(black_box(&headers)).unwrap())),
    ]);
    for (way, rounds) in &table {
        println!("{way:<32} {:>10.1} ns", rounds.median());
    }
    results::keep(
        "secrets",
        &table
            .iter()
            .map(|(way, rounds)| (way.to_string(), rounds.to_json()))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    );
}
