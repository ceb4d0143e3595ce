//! The files that the benchmarks have left behind.

use serde_json::Value;
use std::path::Path;

/// A median and what surrounds it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) median: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
}

/// Figures by name.
pub(crate) type Named = Vec<(String, Figures)>;

#[derive(Debug)]
pub(crate) struct Measured {
    /// Nanoseconds.
    pub(crate) capture: Named,
    pub(crate) nested: Named,
    pub(crate) appends: Named,
    /// Nanoseconds by percentile.
    pub(crate) single: Vec<(String, f64)>,
    pub(crate) latency: Vec<(String, Vec<(String, f64)>)>,
    /// Rows a second.
    pub(crate) writer: Named,
    /// Connections, rows of a batch, rows a second.
    pub(crate) sizes: Vec<(u64, u64, f64)>,
    /// Microseconds a row, sealed and not.
    pub(crate) processor: (f64, f64),
    /// How many, and the MiB they take.
    pub(crate) pending: (f64, f64),
    /// Nanoseconds.
    pub(crate) trail: Named,
    /// Rows a second.
    pub(crate) verify: Figures,
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number; run scripts/bench.sh without arguments"))
}

fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path);
    serde_json::from_str(&text.unwrap_or_else(|error| panic!("{}: {error}; run scripts/bench.sh", path.display())))
        .unwrap()
}

fn rounds(value: &Value) -> Figures {
    Figures { median: number(&value["median"]), lower: number(&value["lower"]), upper: number(&value["upper"]) }
}

fn all(value: &Value) -> Named {
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), rounds(value))).collect()
}

fn percentiles(value: &Value) -> Vec<(String, f64)> {
    let mut all: Vec<_> =
        value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), number(value))).collect();
    all.sort_by(|one, other| one.0[1..].parse::<f64>().unwrap().total_cmp(&other.0[1..].parse().unwrap()));
    all
}

/// The figures that criterion has kept of a group: its median, and the interval of confidence.
fn criterion(target: &Path, group: &str) -> Named {
    let benchmarks = std::fs::read_dir(target.join("criterion").join(group)).into_iter().flatten().flatten();
    let mut all: Named = benchmarks
        .filter(|entry| entry.path().join("new/benchmark.json").exists())
        .map(|entry| {
            let name = json(&entry.path().join("new/benchmark.json"))["function_id"].as_str().unwrap().to_owned();
            let median = &json(&entry.path().join("new/estimates.json"))["median"];
            let interval = &median["confidence_interval"];
            let (lower, upper) = (number(&interval["lower_bound"]), number(&interval["upper_bound"]));
            (name, Figures { median: number(&median["point_estimate"]), lower, upper })
        })
        .collect();
    all.sort_by(|one, other| one.1.median.total_cmp(&other.1.median));
    all
}

fn find(named: &Named, name: &str) -> f64 {
    let found = named.iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("{name} was not measured; run scripts/bench.sh without arguments")).1.median
}

impl Measured {
    pub(crate) fn read(target: &Path) -> Self {
        let kept = |name: &str| json(&target.join("bench").join(format!("{name}.json")));
        let (writer, latency, journal) = (kept("writer"), kept("latency"), kept("journal"));
        let (nested, mut capture): (Named, Named) =
            all(&kept("capture")).into_iter().partition(|(name, _)| name.starts_with("nested"));
        capture.sort_by(|one, other| one.1.median.total_cmp(&other.1.median));
        let named = |name: &str, value: &Value| (name.to_owned(), rounds(value));
        Self {
            capture,
            nested,
            appends: all(&journal["appends"]),
            single: percentiles(&journal["single"]),
            latency: ["audited", "tracing, JSON", "bare"]
                .map(|name| (name.to_owned(), percentiles(&latency["nanoseconds"][name])))
                .into(),
            writer: vec![
                named("psql \\copy", &writer["copy"]),
                named("audit-runtime", &writer["sealed"]["rows_a_second"]),
                named("audit-runtime, without sealing", &writer["unsealed"]["rows_a_second"]),
                named("audit-runtime, synchronous_commit off", &writer["lazy"]["rows_a_second"]),
                named("existing Python helper, pool of 10", &writer["helper"]),
            ],
            sizes: writer["sizes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|size| {
                    let (connections, rows) =
                        (size["connections"].as_u64().unwrap(), size["batch_rows"].as_u64().unwrap());
                    (connections, rows, number(&size["run"]["rows_a_second"]["median"]))
                })
                .collect(),
            processor: (
                number(&writer["sealed"]["writers_processor_us_a_row"]["median"]),
                number(&writer["unsealed"]["writers_processor_us_a_row"]["median"]),
            ),
            pending: {
                let memory = &writer["memory"];
                (number(&memory["events"]), number(&memory["pending_mib"]) - number(&memory["idle_mib"]))
            },
            trail: criterion(target, "trail"),
            verify: rounds(&kept("verify")["rows_a_second"]),
        }
    }

    /// Nanoseconds a call pays in one of the ways.
    pub(crate) fn capture(&self, name: &str) -> f64 {
        find(&self.capture, name)
    }

    pub(crate) fn nested(&self, name: &str) -> f64 {
        find(&self.nested, name)
    }

    pub(crate) fn writer(&self, name: &str) -> f64 {
        find(&self.writer, name)
    }

    pub(crate) fn latency(&self, name: &str, percentile: &str) -> f64 {
        let all = &self.latency.iter().find(|(known, _)| known == name).unwrap().1;
        all.iter().find(|(known, _)| known == percentile).unwrap().1
    }
}
