//! The limits of what a service may ask for. NATS lets it use its own subjects alone, and the relay
//! compares its messages with these.

use crate::relay::connections::within;
use crate::relay::shared::Shared;
use crate::writer::nats::{SHIPPER, service_of};
use crate::writer::wire::Question;
use uuid::Uuid;

/// Returns whether an answer may go to this subject: an inbox of the service.
pub(super) fn is_inbox_of(service: &str, subject: &str) -> bool {
    subject
        .strip_prefix("_INBOX.")
        .and_then(|rest| rest.strip_prefix(service))
        .is_some_and(|rest| rest.starts_with('.'))
}

/// Returns the reason why a service may not ask this, if there is one.
pub(super) async fn refusal(
    shared: &Shared,
    service: &str,
    question: &Question,
) -> Result<Option<String>, sqlx::Error> {
    let journal = match question {
        Question::Claim { journal, .. } | Question::Interrupt { journal, .. } => *journal,
        Question::Catalogue { service: named, .. } if service_of(named) != service => {
            return Ok(Some(format!("{service} may not store the catalogue of {named}")));
        }
        Question::Store { .. } => return Ok(Some("a batch goes through the stream".into())),
        _ => return Ok(None),
    };
    if service == SHIPPER {
        return Ok(None);
    }
    let origin = origin_of(shared, journal).await?;
    let is_own = origin.as_deref().is_none_or(|origin| service_of(origin) == service);
    Ok((!is_own)
        .then(|| format!("journal {journal} is of {}, and {service} may not ask for it", origin.unwrap_or_default())))
}

async fn origin_of(shared: &Shared, journal: Uuid) -> Result<Option<String>, sqlx::Error> {
    let mut lease = shared.connections.lease().await?;
    let origin = within(lease.sink.origin_of(journal)).await?;
    lease.give_back();
    Ok(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_belongs_to_the_service_that_it_names() {
        assert!(is_inbox_of("broker", "_INBOX.broker.abc.1"));
        for other in [
            "_INBOX.broker2.abc",
            "_INBOX.broker",
            "audit.batch.broker.x",
            "$JS.API.STREAM.DELETE.AUDIT",
            "_INBOX.other.broker.",
        ] {
            assert!(!is_inbox_of("broker", other), "{other}");
        }
    }
}
