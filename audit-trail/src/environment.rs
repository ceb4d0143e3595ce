//! Variables of the environment. clap does not read them: its usage lines show an option as
//! required whose variable is set.

/// The value of a variable. An empty one counts as unset: optional secrets are often mounted so.
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?;
    (!value.is_empty()).then(|| value.to_string_lossy().into_owned())
}

/// The user of this process, for events that name an actor.
pub(crate) fn user() -> Option<String> {
    variable("USER")
}
