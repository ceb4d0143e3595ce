//! A service's connection to a relay.

use super::answers;
use super::shared::{Shared, stopping};
use crate::writer::relay_address::Stream;
use crate::writer::wire::{self, Answered, Asked, Frame};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// About the most bytes of one answer. A longer one comes in parts.
const PART: usize = 4 << 20;

/// Mebibytes of messages that a relay reads and stores at once.
pub(super) const MEMORY: usize = 256;
/// A message takes its bytes so often while it is stored: as it came, as rows, and as they are sent.
const COPIES: usize = 3;
/// A service that does not send the rest of a message, or take an answer, in this time is gone.
const IN_TIME: Duration = Duration::from_secs(30);

/// Answers a service's requests, one after another, until it hangs up or the relay ends.
pub(super) async fn run(mut stream: Box<dyn Stream>, shared: &Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    shared.counters.services.fetch_add(1, Ordering::Relaxed);
    let ended = serve(&mut *stream, shared, &mut stopped).await;
    shared.counters.services.fetch_sub(1, Ordering::Relaxed);
    match ended {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            shared.counters.altered.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "a connection to the relay is ended");
        }
        Err(error) => tracing::debug!(%error, "a connection to the relay is ended"),
        Ok(()) => {}
    }
}

async fn serve(stream: &mut dyn Stream, shared: &Arc<Shared>, stopped: &mut watch::Receiver<bool>) -> io::Result<()> {
    loop {
        // A service with nothing to ask waits here. The end of its stream tells it that the relay ends.
        let announced = tokio::select! {
            biased;
            () = stopping(stopped) => return Ok(()),
            announced = wire::announced(stream) => announced?,
        };
        let Some(announced) = announced else {
            return Ok(());
        };
        let mebibytes = (COPIES * announced.bytes()).div_ceil(1 << 20).clamp(1, MEMORY);
        let _memory = shared.memory.acquire_many(mebibytes as u32).await.map_err(io::Error::other)?;
        let Frame { header: Asked { number, ask }, body } = in_time(announced.read(stream)).await?;
        let (answer, body) = answers::answer(shared, Frame { header: ask, body }, PART, |_| async { Ok(()) }).await;
        in_time(wire::write(stream, &Answered { number, answer }, &body)).await?;
    }
}

/// Gives up a service that does not send or take in time.
async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(IN_TIME, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
