//! Events over time, as bars that narrow the question, and as a table.

use super::{Shown, number, time};
use crate::serve::links;
use crate::serve::question::{Question, absolute};
use crate::serve::read::{Counts, Histogram};
use crate::timeline::shown as local;
use audit_runtime::Timestamp;
use maud::{Markup, html};

const WIDTH: usize = 720;
const HEIGHT: u64 = 72;

/// The bars, or the reason that there are none.
pub(crate) fn histogram(counts: &Counts, shown: &Shown<'_>) -> Markup {
    let Some(histogram) = &counts.histogram else {
        let counting = Question { count: true, ..shown.question.clone() };
        return html! {
            section.histogram aria-label="Events over time" {
                p.hint {
                    "Events over time are not counted: that takes longer than a first look. "
                    @if !shown.question.count { a href=(links::search(&counting)) { "Count them" } }
                }
            }
        };
    };
    bars(histogram, shown)
}

fn bars(histogram: &Histogram, shown: &Shown<'_>) -> Markup {
    let most = histogram.counts.iter().map(|count| count.events).max().unwrap_or(0).max(1);
    let total: u64 = histogram.counts.iter().map(|count| count.events).sum();
    let ends = histogram.counts.iter().skip(1).map(|count| count.begin).chain([histogram.end]);
    let parts: Vec<_> = histogram.counts.iter().zip(ends).collect();
    let width = WIDTH as f64 / parts.len().max(1) as f64;
    let narrowed = |begin: Timestamp, end: Timestamp| {
        links::search(&shown.question.with(|question| {
            question.selection.since = Some(absolute(begin));
            question.selection.until = Some(absolute(end));
        }))
    };
    let words = if histogram.is_of_arrivals { "as they arrived" } else { "by the time at which they began" };
    html! {
        section.histogram aria-label="Events over time" {
            p.total { strong { (number(total)) } " events " (words) }
            // The table below has the same numbers and links, for who does not see this.
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" aria-hidden="true" {
                @for (at, (count, end)) in parts.iter().enumerate().filter(|(_, (count, _))| count.events > 0) {
                    @let height = (count.events * (HEIGHT - 2)).div_ceil(most);
                    a href=(narrowed(count.begin, *end)) tabindex="-1" {
                        title { (local(&shown.zone, count.begin)) ": " (number(count.events)) }
                        rect.room x=(format!("{:.2}", at as f64 * width)) y="0" width=(format!("{width:.2}")) height=(HEIGHT) {}
                        rect.bar x=(format!("{:.2}", at as f64 * width + 0.5)) y=(HEIGHT - height)
                            width=(format!("{:.2}", (width - 1.0).max(0.5))) height=(height) {}
                    }
                }
            }
            p.ends {
                @if let Some((first, _)) = parts.first() { span { (time(&shown.zone, first.begin)) } }
                span { (time(&shown.zone, histogram.end)) }
            }
            details {
                summary { "As a table" }
                table.plain {
                    caption { "Events over time, " (words) }
                    thead { tr { th scope="col" { "From" } th scope="col" .number { "Events" } } }
                    tbody {
                        @for (count, end) in parts.iter().filter(|(count, _)| count.events > 0) {
                            tr {
                                th scope="row" { a href=(narrowed(count.begin, *end)) { (time(&shown.zone, count.begin)) } }
                                td.number { (number(count.events)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
