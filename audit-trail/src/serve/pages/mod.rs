//! The pages, as functions of what they show: one for each fragment, which lists, trees and the
//! tail share.

pub(crate) mod batches;
pub(crate) mod catalogue;
pub(crate) mod changes;
pub(crate) mod checkpoints;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod evidence;
pub(crate) mod facets;
pub(crate) mod histogram;
pub(crate) mod layout;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod search;
pub(crate) mod status;
pub(crate) mod timeline;
pub(crate) mod tree;

pub(crate) use layout::Shown;

use crate::text::harmless;
use crate::time::Zone;
use crate::timeline::shown;
use audit_runtime::Timestamp;
use audit_runtime::trail::{IntentState, TrailEvent};
use maud::{Markup, html};

/// A text of other people's, without characters that steer what is around it.
pub(crate) fn text(text: &str) -> Markup {
    html! { (harmless(text)) }
}

/// A name of several words, which may be broken between them.
pub(crate) fn name(name: &str) -> Markup {
    let harmless = harmless(name);
    html! { @for part in harmless.split_inclusive(['.', '_', ':']) { (part) wbr; } }
}

/// A key, shortened, without a break behind its ellipsis.
pub(crate) fn key(key: &str) -> Markup {
    html! { (harmless(&crate::format::short(key)).replace('\u{2026}', "\u{2026}\u{2060}")) }
}

/// A time, as local time with its offset, and for programs. A line breaks before the clock alone.
pub(crate) fn time(zone: &Zone, time: Timestamp) -> Markup {
    let shown = shown(zone, time);
    let words = html! {
        @match shown.split_once(' ') {
            Some((date, clock)) => { (date) " " span.clock { (clock) } }
            None => (shown),
        }
    };
    match time.is_rfc_3339() {
        true => html! { time datetime=(super::question::absolute(time)) { (words) } },
        false => words,
    }
}

/// The outcome as a word, with the state of an intent.
pub(crate) fn outcome_word(event: &TrailEvent) -> String {
    match event.intent {
        Some(IntentState::InFlight) => "in flight".into(),
        Some(state) => format!("started, {state}"),
        None => harmless(event.outcome_text()),
    }
}

/// The outcome, coloured and as a word.
pub(crate) fn outcome(event: &TrailEvent) -> Markup {
    let class = match (event.outcome_text(), event.intent) {
        (_, Some(IntentState::InFlight)) => "flight",
        ("ok", _) => "ok",
        ("error" | "panicked", _) => "failed",
        ("cancelled" | "interrupted", _) => "ended",
        _ => "other",
    };
    html! { span class={ "outcome " (class) } { (outcome_word(event)) } }
}

/// A number with its thousands apart.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number with a word, in the singular for one.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (given, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(given), expected);
        }
    }
}
