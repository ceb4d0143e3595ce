//! Room in the stream: what all relays have acknowledged goes when the stream is four fifths full.

use super::stream::CONSUMER;
use crate::relay::shared::stopping;
use crate::writer::nats::STREAM;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::PullConsumer;
use std::io;
use std::time::Duration;
use tokio::sync::watch;

const EVERY: Duration = Duration::from_secs(30);

/// Makes room until the relay stops.
pub(super) async fn run(context: Context, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stopping(&mut stopped) => return,
        }
        if let Err(error) = make_room(&context).await {
            tracing::debug!(%error, "the stream of batches is not looked at");
        }
    }
}

async fn make_room(context: &Context) -> io::Result<()> {
    let mut stream = context.get_stream(STREAM).await.map_err(io::Error::other)?;
    let info = stream.info().await.map_err(io::Error::other)?;
    let (bytes, most) = (info.state.bytes, u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX));
    if bytes / 4 <= most / 5 {
        return Ok(());
    }
    let mut consumer: PullConsumer = stream.get_consumer(CONSUMER).await.map_err(io::Error::other)?;
    let floor = consumer.info().await.map_err(io::Error::other)?.ack_floor.stream_sequence;
    let purged = stream.purge().sequence(floor + 1).await.map_err(io::Error::other)?;
    tracing::info!(messages = purged.purged, "the stream of batches was almost full; what is stored was removed");
    Ok(())
}
