//! Conditions that are compared as a whole, and look like patterns.

/// The wildcards that a file of policies has.
const WILDCARDS: [char; 2] = ['*', '?'];

/// Refuses a condition with a wildcard, which would be compared as it is and match nothing. `literal`
/// is the way to mean it.
pub(crate) fn whole(name: &str, text: &str, literal: &str) -> Result<(), String> {
    match text.contains(WILDCARDS) {
        false => Ok(()),
        true => Err(format!(
            "{name} {text:?} is compared as a whole, and only event has `*`; write the whole text, and {literal} if it contains `*` or `?`"
        )),
    }
}

/// Refuses an event type with a wildcard that is none.
pub(crate) fn event(name: &str, text: &str, literal: &str) -> Result<(), String> {
    match text.contains('?') {
        false => Ok(()),
        true => Err(format!(
            "{name} {text:?}: `?` is compared as it is, and `*` stands for any text; write `*`, and {literal} if the type contains `?`"
        )),
    }
}

/// Returns the first condition that looks like a pattern.
pub(crate) fn pattern<'t>(
    conditions: impl IntoIterator<Item = (&'static str, Option<&'t str>)>,
) -> Option<(&'static str, &'t str)> {
    conditions.into_iter().find_map(|(name, text)| Some((name, text.filter(|text| text.contains(WILDCARDS))?)))
}

/// Refuses conditions of a command that look like patterns, unless they are meant literally.
pub(crate) fn check<'t>(
    is_literal: bool,
    events: impl IntoIterator<Item = &'t String>,
    others: impl IntoIterator<Item = (&'static str, Option<&'t str>)>,
) -> Result<(), String> {
    if is_literal {
        return Ok(());
    }
    events.into_iter().try_for_each(|text| event("--event", text, "--literal"))?;
    pattern(others).map_or(Ok(()), |(name, text)| whole(name, text, "--literal"))
}

/// An entity as texts to be checked, each by the name of its option.
pub(crate) fn entity<'t>(
    name: &'static str,
    entity: impl IntoIterator<Item = &'t (String, String)>,
) -> Vec<(&'static str, Option<&'t str>)> {
    entity.into_iter().flat_map(|(kind, key)| [(name, Some(kind.as_str())), (name, Some(key.as_str()))]).collect()
}
