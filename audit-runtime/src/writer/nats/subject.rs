//! The subjects of services.

/// The prefix of the subjects of batches.
pub(crate) const BATCHES: &str = "audit.batch";
/// The prefix of the subjects of batches that relays have made.
pub(crate) const MADE: &str = "audit.made";
/// The prefix of the subjects of other questions.
pub(crate) const ASKS: &str = "audit.ask";

/// Returns a service's name as one token of a subject. A character that no token contains is written as `=`
/// and two hexadecimal digits for each byte.
///
/// ```text
/// broker -> broker, order service -> order=20service
/// ```
pub(crate) fn token(service: &str) -> String {
    let mut token = String::new();
    for byte in service.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(char::from(byte));
        } else {
            token.push_str(&format!("={byte:02X}"));
        }
    }
    if token.is_empty() { "=".into() } else { token }
}

/// Returns the token of the service that an origin (`service@host:process`) names.
pub(crate) fn service_of(origin: &str) -> String {
    token(origin.rsplit_once('@').map_or(origin, |(service, _)| service))
}

/// The name of a program that may send the batches of all services.
pub(crate) const SHIPPER: &str = "audit-trail";

/// Returns whether the process of one origin may send the batches of another.
pub(crate) fn may_speak_for(own: &str, origin: &str) -> bool {
    let service = service_of(own);
    service == SHIPPER || service == service_of(origin)
}

/// Returns the token of the service whose subject this is.
pub(crate) fn of_service<'a>(subject: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = subject.strip_prefix(prefix)?.strip_prefix('.')?;
    Some(rest.split_once('.').map_or(rest, |(service, _)| service))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_token_and_two_names_are_two() {
        for (name, expected) in [
            ("broker", "broker"),
            ("a.b", "a=2Eb"),
            ("a b>*", "a=20b=3E=2A"),
            ("", "="),
            ("ä", "=C3=A4"),
            ("a=2Eb", "a=3D2Eb"),
        ] {
            assert_eq!(token(name), expected);
        }
        assert_eq!(service_of("order@service@host:7"), "order=40service");
        assert!(may_speak_for("desk@a:1", "desk@b:2") && may_speak_for("audit-trail@a:1", "desk@b:2"));
        assert!(!may_speak_for("desk@a:1", "desk2@a:1"));
        assert_eq!(of_service("audit.batch.broker.0190", BATCHES), Some("broker"));
        assert_eq!(of_service("audit.ask.broker", ASKS), Some("broker"));
        assert_eq!(of_service("audit.batches.broker", BATCHES), None);
    }
}
