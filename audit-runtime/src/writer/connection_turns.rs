//! Connections are shared with other writers, where a server has fewer than there are writers.
//!
//! A writer without a connection asks again each second. A writer with one asks from time to time
//! whether the server has another left. If the server has none left, and writers hold most of its
//! connections, the writer returns its connection for a while. Another one then gets a turn.

use super::backoff::jittered;
use super::link::Link;
use super::sink::Sink;
use std::time::{Duration, Instant};

/// The longest turn, after which the server is asked. Turns differ, because writers that were
/// started together would otherwise ask together, and only the first would find no connection left.
const TURN: Duration = Duration::from_secs(3);
/// How long others have to come: longer than they wait between two attempts.
pub(super) const REST: Duration = Duration::from_millis(1_500);

/// When a lane's turn ends.
#[derive(Debug, Default)]
pub(super) struct Turn {
    end: Option<Instant>,
}

impl Turn {
    /// Returns the connection if it is another writer's turn, and whether this lane is to rest.
    pub(super) async fn end(&mut self, link: &mut Link<'_>) -> bool {
        let end = *self.end.get_or_insert_with(|| Instant::now() + jittered(TURN));
        if Instant::now() < end {
            return false;
        }
        self.end = None;
        let asked = async |sink: &mut dyn Sink| sink.is_scarce().await;
        let is_scarce = link.is_connected() && link.once(asked).await.unwrap_or(false);
        if is_scarce {
            link.give_back().await;
        }
        is_scarce
    }
}
