//! The stream of batches.

use super::stream::{consumer, failed};
use crate::writer::nats::{BATCHES, MADE, STREAM};
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use std::io;
use std::time::Duration;

/// The stream forgets the id of a message after this time. A service sends a batch again later than
/// that.
const DUPLICATES: Duration = Duration::from_secs(30);

/// The settings of the stream of batches.
///
/// It keeps what relays have stored, up to its limits. So after PostgreSQL was restored from a backup,
/// the stream is read again, from a time before the backup. A full stream refuses new batches, which
/// then wait in their journals.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamSettings {
    /// The servers that have a copy of each message: 1 by default, 3 for a cluster.
    pub replicas: usize,
    /// The time after which a message is removed: 7 days by default.
    pub max_age: Duration,
    /// The bytes of the stream: 10 GiB by default. Relays remove what is stored above four fifths.
    pub max_bytes: u64,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self { replicas: 1, max_age: Duration::from_secs(7 * 24 * 60 * 60), max_bytes: 10 << 30 }
    }
}

pub(super) async fn set_up(context: &Context, settings: &StreamSettings) -> io::Result<()> {
    let config = Config {
        name: STREAM.into(),
        subjects: vec![format!("{BATCHES}.*.*"), format!("{MADE}.*")],
        description: Some("Sealed batches of audit events on their way to PostgreSQL".into()),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        num_replicas: settings.replicas,
        max_age: settings.max_age,
        max_bytes: i64::try_from(settings.max_bytes).unwrap_or(i64::MAX),
        duplicate_window: DUPLICATES,
        ..Config::default()
    };
    context.create_or_update_stream(config).await.map_err(failed)?;
    consumer(context).await.map(drop)
}
