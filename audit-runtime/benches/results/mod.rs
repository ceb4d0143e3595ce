//! Measurements of a benchmark, for the report that `scripts/bench.sh` makes.

#![allow(dead_code, reason = "each benchmark uses some of it")]

use serde_json::{Value, json};
use std::path::Path;

/// Figures of one thing, from some rounds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    pub(crate) fn median(&self) -> f64 {
        self.sorted()[self.0.len() / 2]
    }

    pub(crate) fn to_json(&self) -> Value {
        let sorted = self.sorted();
        let quarter = sorted.len() / 4;
        json!({"median": self.median(), "lower": sorted[quarter], "upper": sorted[sorted.len() - 1 - quarter], "rounds": sorted.len()})
    }
}

/// Keeps them in `target/bench`.
pub(crate) fn keep(benchmark: &str, results: &Value) {
    // target/release/deps/benchmark
    let program = std::env::current_exe().unwrap();
    let directory = program.ancestors().nth(3).unwrap_or(Path::new("target")).join("bench");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(format!("{benchmark}.json")), format!("{results:#}\n")).unwrap();
}
