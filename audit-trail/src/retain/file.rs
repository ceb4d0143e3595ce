//! The file of retention: TOML.

use crate::exact;
use crate::failure::Failure;
use audit_runtime::Timestamp;
use audit_runtime::admin::PruneFilter;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

/// The most bytes of a file. Nobody writes a larger one on purpose.
const MOST_BYTES: u64 = 1 << 20;
/// The most years that events are kept for.
const YEARS: i64 = 1_000;

/// The rules, in their order.
#[derive(Debug)]
pub(super) struct Retention {
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug)]
pub(super) struct Rule {
    /// The name, or the number from 1.
    pub(super) name: String,
    pub(super) filter: PruneFilter,
    pub(super) keep: Period,
    pub(super) archive: Option<String>,
}

/// How long events are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Period {
    Forever,
    Days(i64),
    Months(i64),
}

/// Which events are kept now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    All,
    /// Those that began at this time or later.
    Until(Timestamp),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    rule: Vec<Spanned<WrittenRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    name: Option<String>,
    event: Option<Spanned<String>>,
    tenant: Option<Spanned<String>>,
    entity: Option<Spanned<String>>,
    actor: Option<Spanned<String>>,
    keep: Spanned<String>,
    archive: Option<Spanned<String>>,
    /// Takes `*` and `?` as they are, where they stand for nothing.
    #[serde(default)]
    literal: bool,
}

impl Retention {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, is larger than 1 MiB, or is not a file of rules.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
        match read {
            Err(error) => Err(Failure::Usage(format!("cannot read {shown}: {error}"))),
            Ok(bytes) if bytes as u64 > MOST_BYTES => {
                Err(Failure::Usage(format!("cannot read {shown}: it has more than 1 MiB")))
            }
            Ok(_) => {
                Self::parse(&text).map_err(|(line, reason)| Failure::Usage(format!("{shown}, line {line}: {reason}")))
            }
        }
    }

    /// Reads a text, or returns the line of a mistake, and the mistake.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let line = |span: Range<usize>| {
            let before = span.start.min(text.len());
            text.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count() + 1
        };
        let written: Written = toml::from_str(text)
            .map_err(|error| (line(error.span().unwrap_or_default()), error.message().replace('\n', ", ")))?;
        if written.rule.is_empty() {
            return Err((1, "it has no rule; write [[rule]] and below it keep = \"90 days\"".into()));
        }
        let mut rules: Vec<Rule> = Vec::new();
        let mut all: Option<String> = None;
        for (place, rule) in written.rule.into_iter().enumerate() {
            let begin = line(rule.span());
            if let Some(all) = all {
                return Err((
                    begin,
                    format!("rule {all} is about all events, so that this one is never reached; put it first"),
                ));
            }
            let rule = rule.into_inner().checked(place + 1).map_err(|(span, reason)| (line(span), reason))?;
            all = (rule.filter == PruneFilter::new()).then(|| rule.name.clone());
            rules.push(rule);
        }
        Ok(Self { rules })
    }
}

/// A mistake in a part of the text.
type Mistake = (Range<usize>, String);

impl WrittenRule {
    fn checked(self, number: usize) -> Result<Rule, Mistake> {
        let mut filter = PruneFilter::new();
        for (name, text) in
            [("event", &self.event), ("tenant", &self.tenant), ("entity", &self.entity), ("actor", &self.actor)]
        {
            if let Some(text) = text.as_ref().filter(|text| text.get_ref().is_empty()) {
                return Err((text.span(), format!("{name} is empty; leave it out for all events")));
            }
            if let Some(text) = text.as_ref().filter(|_| !self.literal) {
                let check = if name == "event" { exact::event } else { exact::whole };
                check(name, text.get_ref(), "literal = true").map_err(|reason| (text.span(), reason))?;
            }
        }
        let text = |text: Option<Spanned<String>>| text.map(Spanned::into_inner);
        filter = text(self.event).into_iter().fold(filter, PruneFilter::event);
        filter = text(self.tenant).into_iter().fold(filter, PruneFilter::tenant);
        filter = text(self.actor).into_iter().fold(filter, PruneFilter::actor);
        if let Some(entity) = self.entity {
            let span = entity.span();
            filter = match entity.get_ref().split_once(':') {
                None => filter.entity_type(entity.get_ref()),
                Some((kind, key)) if !kind.is_empty() && !key.is_empty() => filter.entity(kind, key),
                Some(_) => return Err((span, "invalid entity; write \"TYPE\" or \"TYPE:KEY\"".into())),
            };
        }
        let keep = period(self.keep.get_ref()).ok_or_else(|| {
            let text = self.keep.get_ref();
            let reason = format!(
                "invalid period {text:?}; write a number and days, weeks, months or years, as in \"90 days\", or \"forever\""
            );
            (self.keep.span(), reason)
        })?;
        if let Some(archive) = &self.archive {
            let mut rest = archive.get_ref().chars();
            while let Some(c) = rest.next() {
                if c == '%' && !matches!(rest.next(), Some('Y' | 'm' | '%')) {
                    let reason = "after `%`, write Y or m for year and month of the events, or another `%`";
                    return Err((archive.span(), format!("invalid archive {:?}: {reason}", archive.get_ref())));
                }
            }
        }
        let name = self.name.unwrap_or_else(|| number.to_string());
        Ok(Rule { name, filter, keep, archive: self.archive.map(Spanned::into_inner) })
    }
}

/// Reads a period of at least a day.
fn period(text: &str) -> Option<Period> {
    if text == "forever" {
        return Some(Period::Forever);
    }
    let (number, unit) = text.split_once(' ')?;
    let number: i64 = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())??;
    let (days, months) = match unit.strip_suffix('s').unwrap_or(unit) {
        "day" => (1, 0),
        "week" => (7, 0),
        "month" => (0, 1),
        "year" => (0, 12),
        _ => return None,
    };
    let (days, months) = (number.checked_mul(days)?, number.checked_mul(months)?);
    let is_possible = number > 0 && days <= YEARS * 366 && months <= YEARS * 12;
    is_possible.then_some(if months > 0 { Period::Months(months) } else { Period::Days(days) })
}

impl Period {
    /// Returns which events are kept at a time: those of this long before the begin of its day, in UTC.
    pub(super) fn until(self, now: Timestamp) -> Keep {
        let span: Span = match self {
            Self::Forever => return Keep::All,
            Self::Days(days) => days.days(),
            Self::Months(months) => months.months(),
        };
        let today: Option<Date> = now
            .unix_micros()
            .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
            .map(|now| now.to_zoned(TimeZone::UTC).date());
        let before =
            today.and_then(|today| today.checked_sub(span).ok()).and_then(|date| date.to_zoned(TimeZone::UTC).ok());
        // Nothing is that old.
        before.map_or(Keep::All, |before| Keep::Until(Timestamp::from_unix_micros(before.timestamp().as_microsecond())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_in_their_order() {
        let text = r#"
            [[rule]]
            event = "customer.viewed"
            tenant = "acme"
            keep = "90 days"
            archive = "/archive/%Y-%m.ndjson"

            [[rule]]
            name = "sessions"
            entity = "session"
            actor = "bot"
            keep = "1 week"

            [[rule]]
            entity = "order:a:b"
            keep = "forever"

            [[rule]]
            entity = "part:a*b?"
            actor = "*"
            event = "what?"
            literal = true
            keep = "1 day"

            [[rule]]
            keep = "7 years"
        "#;
        let rules = Retention::parse(text).unwrap().rules;
        let shown: Vec<String> =
            rules.iter().map(|rule| format!("{}: {} {:?}", rule.name, rule.filter, rule.keep)).collect();
        assert_eq!(
            shown,
            [
                "1: events customer.viewed, tenant acme Days(90)",
                "sessions: entities of type session, actor bot Days(7)",
                "3: entity order:a:b Forever",
                "4: events what?, entity part:a*b?, actor * Days(1)",
                "5: all events Months(84)",
            ]
        );
        assert_eq!(rules[0].archive.as_deref(), Some("/archive/%Y-%m.ndjson"));
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, expected, part) in [
            ("", 1, "[[rule]]"),
            ("[[rule]\n", 1, ""),
            ("[[rule]]\nkeep = \"1 day\"\nevnt = \"a\"", 3, "evnt"),
            ("rules = 1", 1, "rules"),
            ("[[rule]]\nevent = \"a\"", 1, "keep"),
            ("[[rule]]\n\nkeep = 90", 3, "string"),
            ("[[rule]]\nkeep = \"90\"", 2, "as in \"90 days\""),
            ("[[rule]]\nkeep = \"0 days\"", 2, "\"0 days\""),
            ("[[rule]]\nkeep = \"-1 days\"", 2, "\"-1 days\""),
            ("[[rule]]\nkeep = \"+1 days\"", 2, "\"+1 days\""),
            ("[[rule]]\nkeep = \"1 dayss\"", 2, "\"1 dayss\""),
            ("[[rule]]\nkeep = \"1  day\"", 2, "\"1  day\""),
            ("[[rule]]\nkeep = \"99999999999999999999 days\"", 2, "days"),
            ("[[rule]]\nkeep = \"9223372036854775807 weeks\"", 2, "weeks"),
            ("[[rule]]\nkeep = \"1001 years\"", 2, "years"),
            ("[[rule]]\nkeep = \"1 day\"\nevent = \"\"", 3, "event is empty"),
            ("[[rule]]\nkeep = \"1 day\"\nentity = \":42\"", 3, "TYPE:KEY"),
            ("[[rule]]\nkeep = \"1 day\"\narchive = \"/a/%d\"", 3, "write Y or m"),
            ("[[rule]]\nkeep = \"forever\"\n\nactor = \"legal:*\"", 4, "only event has `*`"),
            ("[[rule]]\ntenant = \"acme-?\"\nkeep = \"1 day\"", 2, "compared as a whole"),
            ("[[rule]]\nentity = \"ord*\"\nkeep = \"1 day\"", 2, "literal = true"),
            ("[[rule]]\nentity = \"order:4?\"\nkeep = \"1 day\"", 2, "compared as a whole"),
            ("[[rule]]\nevent = \"order.?\"\nkeep = \"1 day\"", 2, "write `*`"),
            ("[[rule]]\nkeep = \"1 day\"\n\n[[rule]]\nevent = \"a\"\nkeep = \"1 day\"", 4, "never reached"),
        ] {
            let (line, reason) = Retention::parse(text).unwrap_err();
            assert_eq!(line, expected, "{text}: {reason}");
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }

    #[test]
    fn a_period_ends_at_the_begin_of_a_day() {
        let now: Timestamp = "2026-03-31T17:05:00.5Z".parse().unwrap();
        for (text, expected) in [
            ("1 day", "2026-03-30T00:00:00Z"),
            ("2 weeks", "2026-03-17T00:00:00Z"),
            ("1 month", "2026-02-28T00:00:00Z"),
            ("10 years", "2016-03-31T00:00:00Z"),
        ] {
            let until = period(text).unwrap().until(now);
            assert_eq!(until, Keep::Until(expected.parse().unwrap()), "{text}");
        }
        assert_eq!(period("forever").unwrap().until(now), Keep::All);
    }
}
