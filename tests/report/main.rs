//! Writes docs/benchmarks.md and its charts from what the benchmarks have left in the target
//! directory.
//!
//! `scripts/bench.sh` runs it.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

mod charts;
mod goals;
mod measured;

use measured::Measured;
use std::fmt::Write;
use std::path::Path;

/// A table's lines: a heading, and rows.
fn table(text: &mut String, heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    text.push_str(&line(&heading.iter().map(ToString::to_string).collect::<Vec<_>>()));
    text.push_str(&line(&vec!["---".to_owned(); heading.len()]));
    rows.into_iter().for_each(|row| text.push_str(&line(&row)));
    text.push('\n');
}

/// Three significant digits.
fn short(figure: f64) -> String {
    match figure {
        1000.0.. => {
            let text = format!("{figure:.0}");
            let groups: Vec<_> = text.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap()).collect();
            groups.join(",")
        }
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, machine] = arguments.as_slice() else {
        panic!("report TARGET_DIRECTORY MACHINE_FILE: scripts/bench.sh runs it");
    };
    let measured = Measured::read(Path::new(target));
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs");
    charts::draw(&measured, &docs.join("charts"));
    let mut text = String::from(include_str!("introduction.md"));
    let _ = writeln!(text, "\n## The machine\n\n```text\n{}```\n", std::fs::read_to_string(machine).unwrap());
    text.push_str("## Goals\n\n");
    let rows = goals::goals(&measured).into_iter().map(goals::Goal::cells);
    table(&mut text, &["what", "against", "measured", "at least", ""], rows);
    text.push_str("## Cost of a call\n\n![nanoseconds a call](charts/capture.svg)\n\n");
    let rows = measured.capture.iter().map(|(name, figures)| {
        vec![name.clone(), short(figures.median), format!("{} to {}", short(figures.lower), short(figures.upper))]
    });
    table(&mut text, &["way", "ns, median", "spread"], rows);
    text.push_str("![percentiles of single calls](charts/latency.svg)\n\n");
    let rows = measured
        .latency
        .iter()
        .map(|(name, at)| std::iter::once(name.clone()).chain(at.iter().map(|(_, nanos)| short(*nanos))).collect());
    table(&mut text, &["single calls, ns, while the writer ships", "p50", "p90", "p99", "p99.9", "p99.99"], rows);
    text.push_str("The journal's append alone: ");
    let appends: Vec<_> =
        measured.appends.iter().map(|(name, figures)| format!("{name} {} ns", short(figures.median))).collect();
    let _ = writeln!(
        text,
        "{}; single appends of 400 bytes, of which each is timed, {}.\n",
        appends.join(", "),
        measured.single.iter().map(|(name, nanos)| format!("{name} {}", short(*nanos))).collect::<Vec<_>>().join(", ")
    );
    text.push_str(
        "Instructions a call, counted by callgrind (`scripts/bench.sh --instructions` compares with these):\n\n",
    );
    let rows =
        include_str!("../../scripts/instructions.txt").lines().map(|line| line.split(' ').map(Into::into).collect());
    table(&mut text, &["call", "instructions"], rows);
    text.push_str("## From recorded to committed\n\n![rows a second](charts/writer.svg)\n\n");
    let rows = measured.writer.iter().map(|(name, figures)| {
        let spread = format!("{} to {}", short(figures.lower), short(figures.upper));
        vec![name.clone(), short(figures.median), spread, short(figures.median / measured.writer("psql \\copy"))]
    });
    table(&mut text, &["way", "rows/s, median", "spread", "to \\copy"], rows);
    let _ = writeln!(
        text,
        "The writer's thread takes {} microseconds of processor a row with sealing, {} without. {} pending events take {} MiB of anonymous \
         memory more than none.\n",
        short(measured.processor.0),
        short(measured.processor.1),
        short(measured.pending.0),
        short(measured.pending.1)
    );
    text.push_str("## Reading trails, and verifying\n\n");
    let rows = measured.trail.iter().map(|(name, figures)| {
        vec![
            name.clone(),
            short(figures.median / 1e6),
            format!("{} to {}", short(figures.lower / 1e6), short(figures.upper / 1e6)),
        ]
    });
    table(&mut text, &["question to a million rows", "ms, median", "spread"], rows);
    let _ = writeln!(text, "`verify` goes over {} rows/s of a million.", short(measured.verify.median));
    std::fs::write(docs.join("benchmarks.md"), text).unwrap();
    println!("docs/benchmarks.md and docs/charts are written");
}
