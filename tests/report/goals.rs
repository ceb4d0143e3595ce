//! The goals, and the results.

use super::short;
use crate::measured::Measured;

#[derive(Debug)]
pub(crate) struct Goal {
    what: &'static str,
    against: &'static str,
    measured: String,
    at_least: &'static str,
    met: bool,
}

impl Goal {
    pub(crate) fn cells(self) -> Vec<String> {
        let met = if self.met { "met" } else { "missed" };
        vec![self.what.into(), self.against.into(), self.measured, self.at_least.into(), met.into()]
    }
}

pub(crate) fn goals(measured: &Measured) -> Vec<Goal> {
    let call = measured.capture("audited");
    let times = |ours: f64, theirs: f64| format!("{}: {} and {}", short(theirs / ours), short(ours), short(theirs));
    let faster = |what, against, way, at_least, goal: f64| {
        let theirs = measured.capture(way);
        Goal { what, against, measured: times(call, theirs), at_least, met: theirs / call >= goal }
    };
    let instructions = include_str!("../../scripts/instructions.txt").lines().next().unwrap_or_default();
    let (one, two) = (measured.capture("audited, writer idle"), measured.capture("audited, writer idle, two threads"));
    let apart =
        measured.capture("serde_json of the fields") / measured.capture("serde_json of the fields, two threads");
    let (ours, theirs) = (measured.latency("audited", "p99.9"), measured.latency("tracing, JSON", "p99.9"));
    let bare = measured.capture("bare");
    let more =
        (measured.capture("audited, nothing installed") - bare, measured.capture("audited, when is false") - bare);
    let (sealed, copy) = (measured.writer("audit-runtime"), measured.writer("psql \\copy"));
    let helper = measured.writer("existing Python helper, pool of 10");
    let (nested, to_vec) = (measured.nested("nested, audited"), measured.nested("nested, serde_json::to_vec"));
    vec![
        faster(
            "a captured call, ns",
            "`#[tracing::instrument(ret, err)]`, JSON, span close, `non_blocking`",
            "tracing, JSON",
            "50 times faster",
            50.0,
        ),
        faster(
            "the same",
            "fastrace's `#[trace]`, the arguments as properties, a root span each",
            "fastrace",
            "10 times faster",
            10.0,
        ),
        faster("the same", "an awaited INSERT (sqlx, pool)", "INSERT, awaited", "1,000 times faster", 1_000.0),
        Goal {
            what: "the same, and no allocation",
            against: "the second prototype's 132 ns",
            measured: format!(
                "{} ns, {} instructions, no allocation",
                short(call),
                instructions.split(' ').nth(1).unwrap_or_default()
            ),
            at_least: "120 ns",
            met: call <= 120.0,
        },
        Goal {
            what: "a call when nothing is installed, or `when` is false, ns",
            against: "a bare call",
            measured: format!("{} and {} more", short(more.0), short(more.1)),
            at_least: "1 ns more",
            met: more.0 <= 1.0 && more.1 <= 1.0,
        },
        Goal {
            what: "two threads recording, ns a call",
            against: "one thread",
            measured: format!("{} (threads that share nothing: {})", times(two, one), short(apart)),
            at_least: "1.8 times the calls/s",
            met: one / two >= 1.8,
        },
        Goal {
            what: "p99.9 of a captured call while the writer ships, ns",
            against: "of tracing's, the same load",
            measured: times(ours, theirs),
            at_least: "20 times lower",
            met: theirs / ours >= 20.0,
        },
        Goal {
            what: "recorded to committed, partitioned, indexed, sealed, rows/s",
            against: "psql's `\\copy` of the same rows, one transaction",
            measured: format!("{}: {} and {}", short(sealed / copy), short(sealed), short(copy)),
            at_least: "1.5 times",
            met: sealed / copy >= 1.5,
        },
        Goal {
            what: "the same",
            against: "existing Python helper, pool of 10",
            measured: format!("{}: {} and {}", short(sealed / helper), short(sealed), short(helper)),
            at_least: "25 times",
            met: sealed / helper >= 25.0,
        },
        Goal {
            what: "the writer's processor a row, sealing on",
            against: "",
            measured: format!("{} microseconds", short(measured.processor.0)),
            at_least: "1.5 microseconds",
            met: measured.processor.0 <= 1.5,
        },
        Goal {
            what: "anonymous memory with 10 million events pending",
            against: "idle",
            measured: format!("{} MiB more", short(measured.pending.1)),
            at_least: "64 MiB more",
            met: measured.pending.1 <= 64.0,
        },
        Goal {
            what: "a capture of a 10 kB nested struct, ns",
            against: "`serde_json::to_vec` of it",
            measured: format!("{} times: {} and {}", short(nested / to_vec), short(nested), short(to_vec)),
            at_least: "1.15 times",
            met: nested / to_vec <= 1.15,
        },
    ]
}
