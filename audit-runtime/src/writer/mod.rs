//! The writer: a thread of its own, with a runtime of its own, that ships the journal to a sink.
//!
//! ```text
//! journal -> Planner: batches -> lane 0 -> store: one transaction -> Planner: stored -> journal: acknowledge
//!                             -> lane 1 ..   (takes a batch only while there is a backlog)
//!                             -> Backlog: batches that are postponed, so that new events do not wait for them
//! orphans -> OrphanPlan: batches -> adoption -> shipping (connections of its own, one attempt for each journal in turn)
//! ```
//!
//! A lane is one connection. It keeps a batch until that is stored, however often it has to try.

mod adoption;
mod already_stored;
mod backlog;
mod backoff;
pub(crate) mod batch;
mod blocking;
mod carrier;
mod catalogue;
mod catalogue_row;
mod chain;
mod checked_connection;
mod connection_turns;
mod couriers;
mod destination;
mod failure_log;
mod interrupted_calls;
mod keeping;
pub(crate) mod key_clerk;
mod key_return;
mod lane;
mod linger;
mod link;
mod metrics;
#[cfg(feature = "metrics")]
mod metrics_table;
#[cfg(feature = "nats")]
pub(crate) mod nats;
mod orphan_plan;
mod orphans;
mod parts;
mod planner;
mod postgres_sink;
pub(crate) mod relay_address;
mod relay_asker;
mod remote_sink;
pub(crate) mod replay;
mod scarcity;
mod shipping;
pub(crate) mod sink;
mod sql_literal;
mod store;
#[cfg(feature = "nats")]
mod store_together;
// The crate that starts PostgreSQL for tests runs on Linux.
#[cfg(all(test, target_os = "linux", not(audit_loom), not(miri)))]
mod tests;
mod tidy;
pub(crate) mod upkeep;
pub(crate) mod wire;
mod work;

pub(crate) use already_stored::{Claim, Part};
pub(crate) use chain::Chain;
pub(crate) use destination::Destination;
pub(crate) use interrupted_calls::batches as interruption_batches;
#[cfg(feature = "nats")]
pub(crate) use key_return::bring_back;
pub(crate) use orphan_plan::Stored;
pub(crate) use parts::{MakeCatalogue, ServiceCatalogue, Settings, WriterParts};
pub(crate) use postgres_sink::PostgresSink;
pub(crate) use store::StoreOutcome;

use adoption::Adoption;
use lane::Lane;
use metrics::MetricsReporter;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime;
use tokio::sync::watch;
use work::Work;

/// Starts the writer's thread. It ends by itself when it is asked to stop. `beside` goes on in its
/// runtime until then.
pub(crate) fn start<F: Future<Output = ()>>(
    parts: WriterParts,
    destination: Destination,
    beside: impl FnOnce() -> F + Send + 'static,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let parts = Arc::new(parts);
    std::thread::Builder::new().name("audit-writer".into()).spawn(move || {
        // If the writer ends in any way, a panic included, its waiters are released.
        let _ended = Ended(parts.clone());
        runtime.block_on(run(&parts, &destination, beside()));
        // A name lookup that hangs holds up nothing.
        runtime.shutdown_background();
    })?;
    Ok(())
}

struct Ended(Arc<WriterParts>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.journal.close();
        self.0.journal.release();
        self.0.control.update(|progress| progress.ended = true);
    }
}

/// How long a process that has shipped its own journal waits for the adoption to let go of the one
/// in hand.
const TIDY: Duration = Duration::from_secs(3);

async fn run(parts: &Arc<WriterParts>, destination: &Destination, beside: impl Future<Output = ()>) {
    let parent = parts.journal.parent();
    let work = Work::default();
    work.planner.borrow_mut().chain = Chain::noted_in(parts.journal.cut_log());
    let lanes = (0..parts.settings.connections).map(|number| Lane::new(number, parts, destination, &work).run());
    let deadline = async {
        let deadline = parts.control.stopping().await;
        tokio::time::sleep_until(deadline.into()).await;
    };
    let metrics = MetricsReporter::new(parts);
    let (rests, mut adoption_rests) = watch::channel(parent.is_none());
    let adoption = async {
        match parent {
            Some(parent) => Adoption::new(parts, destination, &work, parent).run(rests).await,
            None => std::future::pending().await,
        }
    };
    let shipping = async {
        ship(lanes, Lane::new(0, parts, destination, &work)).await;
        // So that a shutdown can report the remaining journals of others, and so that stored ones
        // are removed. Its next batch is not waited for.
        let _ = tokio::time::timeout(TIDY, adoption_rests.wait_for(|rests| *rests)).await;
    };
    let shipped = tokio::select! {
        biased;
        () = shipping => true,
        () = deadline => false,
        () = adoption => false,
        () = metrics.run() => false,
        () = parts.tidy_copies() => false,
        () = beside => false,
    };
    metrics.report();
    let progress = parts.control.progress();
    if shipped
        && progress.stored_to == parts.journal.cursor()
        && let Err(error) = parts.journal.remove()
    {
        tracing::warn!(journal = %parts.journal.id(), %error, "an empty journal cannot be removed; the next start will do it");
    }
}

/// Ships the journal until it is closed and empty. The calls that are still under way will then
/// never report their end.
async fn ship(lanes: impl Iterator<Item = impl Future<Output = ()>>, last: Lane<'_>) {
    futures_util::future::join_all(lanes).await;
    last.close_intents().await;
}
