//! Explores the model within bounds: `model RECORDS KILLS POWER_FAILURES CRASHES`.

use std::time::Instant;
use tests_model::{Bounds, Rules, World, explore};

fn main() {
    let given: Vec<u8> = std::env::args().skip(1).map(|number| number.parse().expect("a number")).collect();
    let [records, kills, power_failures, crashes] = given[..] else {
        panic!("usage: model RECORDS KILLS POWER_FAILURES CRASHES");
    };
    let bounds = Bounds::of(records, kills, power_failures, crashes);
    let begin = Instant::now();
    let explored = explore(&World { bounds, rules: Rules::RELAY });
    println!("{bounds:?}");
    println!(
        "states explored {}, steps {}, with all work done {}, in {:.0?}",
        explored.states,
        explored.steps,
        explored.done,
        begin.elapsed()
    );
    if let Some(violation) = explored.violation {
        println!("{}\n{}", violation.property, violation.trace);
        std::process::exit(1);
    }
}
