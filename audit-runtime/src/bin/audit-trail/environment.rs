//! Variables of the environment. They are read here and not by clap, whose usage lines would show each that is set as an option that is
//! required.

/// The value of a variable. An empty one counts as unset: optional secrets are often mounted so.
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?;
    (!value.is_empty()).then(|| value.to_string_lossy().into_owned())
}

/// Who runs this command, for events that name an actor.
pub(crate) fn user() -> Option<String> {
    variable("USER")
}
