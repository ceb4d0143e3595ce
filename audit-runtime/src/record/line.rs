//! An event as one line of text, for developers.

use super::TrailEvent;
use crate::capture::json::Json;
use crate::event::Outcome;
use std::fmt::{self, Write as _};
use std::time::Duration;

impl TrailEvent {
    /// Returns the event as one line: time, event type, outcome, duration, actor, entity and data.
    pub(crate) fn line(&self) -> String {
        let mut line = String::with_capacity(128);
        // Writing to a text cannot fail.
        let _ = self.write_line(&mut line);
        line.chars().fold(String::with_capacity(line.len()), |mut shown, c| {
            if is_obeyed(c) {
                shown.extend(c.escape_unicode());
            } else {
                shown.push(c);
            }
            shown
        })
    }

    fn write_line(&self, line: &mut String) -> fmt::Result {
        let time = self.created_at.to_string();
        // A time of four digits' year is 2026-05-04T09:00:00.000100Z. The date is of little use
        // while one looks.
        let time = if self.created_at.is_rfc_3339() { &time[11..23.min(time.len())] } else { &time };
        let outcome = self.outcome_text();
        write!(line, "{time} {:<24} {outcome:<9}", self.event_type)?;
        if let Some(duration) = self.duration() {
            write!(line, " {:>8}", Took(duration).to_string())?;
        }
        write!(line, "  {}", self.actor)?;
        write!(line, "  {}", self.entity_type)?;
        match (&self.entity_key, self.entity_id) {
            (Some(key), _) => write!(line, " {key}")?,
            (None, Some(id)) => write!(line, " {id}")?,
            (None, None) => {}
        }
        let error = &self.data["error"]["message"];
        if let (Outcome::Error, Some(message)) = (self.outcome, error.as_str()) {
            write!(line, "  error={message:?}")?;
        }
        let mut blanks = "  ";
        for (name, value) in self.data.as_object().into_iter().flatten() {
            if name == "error" && error.is_string() {
                continue;
            }
            write!(line, "{blanks}{name}={value}")?;
            blanks = " ";
        }
        match &self.context {
            Some(context @ Json::Object(attributes)) if !attributes.is_empty() => write!(line, "  context={context}"),
            _ => Ok(()),
        }
    }
}

/// Returns whether a terminal would obey a character, or turn the direction of writing by it.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A duration with three digits at most.
struct Took(Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let (value, unit) = match micros {
            0..1_000 => return write!(f, "{micros} us"),
            1_000..1_000_000 => (micros as f64 / 1e3, "ms"),
            _ => (micros as f64 / 1e6, "s"),
        };
        let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
        write!(f, "{value:.decimals$} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: &str) -> TrailEvent {
        let json = format!(
            r#"{{"id": "01890a5d-ac96-774b-bcce-b302099a8057", "event_type": "order.rejected", "entity_type": "order",
                "entity_id": null, "actor": "user:ada", "data": {data}, "created_at": "2026-05-04T09:00:00.012345Z",
                "outcome": "error", "duration_us": 12345, "correlation_id": null, "causation_id": null, "context": null,
                "origin": null, "batch_id": null}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_line_has_who_what_and_why() {
        let event = event(r#"{"quantity": 10.50, "error": {"message": "closed", "causes": []}}"#);
        assert_eq!(
            event.line(),
            r#"09:00:00.012 order.rejected           error      12.3 ms  user:ada  order  error="closed"  quantity=10.50"#
        );
    }

    #[test]
    fn control_characters_are_escaped() {
        let line = event(r#"{"name": "\u001b[2J\u202egpj\u0085"}"#).line();
        assert!(line.chars().all(|c| !is_obeyed(c)), "{line:?}");
        assert!(line.contains("gpj"), "{line}");
    }

    #[test]
    fn durations_have_three_digits() {
        let shown = |micros| Took(Duration::from_micros(micros)).to_string();
        assert_eq!([0, 999, 1_000, 9_994].map(shown), ["0 us", "999 us", "1.00 ms", "9.99 ms"]);
        assert_eq!([9_996, 99_960, 1_500_000, 100_000_000].map(shown), ["10.0 ms", "100 ms", "1.50 s", "100 s"]);
    }
}
