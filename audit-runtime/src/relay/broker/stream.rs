//! The stream of batches and the consumer that all relays share.

use crate::writer::nats::STREAM;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use std::io;
use std::time::Duration;

/// The durable consumer that all relays share.
pub(super) const CONSUMER: &str = "audit-relay";
/// A message that a relay has not acknowledged after this time goes to another. A relay with a message
/// in hand reports progress meanwhile.
const ACK_WAIT: Duration = Duration::from_secs(60);
/// The most messages in the hands of all relays.
const MAX_ACK_PENDING: i64 = 1_024;

pub(super) fn failed(why: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("the relay cannot take batches from NATS: {why}"))
}

/// Finds the consumer, or makes it.
pub(super) async fn consumer(context: &Context) -> io::Result<PullConsumer> {
    let stream = context.get_stream(STREAM).await.map_err(|error| {
        failed(format!(
            "it has no stream {STREAM} ({error}); run audit-trail relay --setup with the rights to make one"
        ))
    })?;
    let config = pull::Config {
        durable_name: Some(CONSUMER.into()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: MAX_ACK_PENDING,
        ..pull::Config::default()
    };
    stream.get_or_create_consumer(CONSUMER, config).await.map_err(failed)
}
