//! The writer: a thread of its own, with a runtime of its own, that ships the journal to PostgreSQL.
//!
//! ```text
//! journal -> Planner: batches -> lane 0 -> store: one transaction -> Planner: stored -> journal: acknowledge
//!                             -> lane 1 ..   (takes a batch only while there is a backlog)
//! orphans -> OrphanPlan: batches -> lane 0   (in turn with the live journal)
//! ```
//!
//! A lane is one connection. It keeps a batch until that is stored, however often it has to try.

mod batch;
mod connect;
mod control;
pub(crate) mod copy;
mod failure;
mod insert;
mod interrupted;
mod lane;
mod metrics;
mod store;
mod upkeep;

pub use connect::{ConnectOptions, FreshOptions, IntoConnectOptions};
pub(crate) use control::{Control, Progress};
pub(crate) use failure::is_refusal;
pub(crate) use insert::insert;
pub(crate) use store::store_one;
pub(crate) use upkeep::Checkpoints;

use crate::core::Core;
use crate::journal::Directory;
use lane::Lane;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime;
use tokio::sync::Mutex;

/// Starts the writer's thread; it ends by itself when it is asked to stop. `parent` is the directory in which journals of
/// dead processes are looked for.
pub(crate) fn start(core: Arc<Core>, options: ConnectOptions, parent: Option<PathBuf>) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("audit-writer".into()).spawn(move || {
        // Whatever happens in here, nobody waits for a writer that is gone.
        let _ended = Ended(core.clone());
        runtime.block_on(run(&core, &options, parent.as_deref()));
        // A name lookup that hangs holds up nothing.
        runtime.shutdown_background();
    })?;
    Ok(())
}

struct Ended(Arc<Core>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.journal.close();
        self.0.journal.release();
        self.0.control.update(|progress| progress.ended = true);
    }
}

/// What the lanes share; they run on one thread, and nothing here is borrowed across an await.
#[derive(Debug, Default)]
struct Work {
    planner: RefCell<batch::Planner>,
    /// Whose turn it is to cut a batch.
    turn: Mutex<()>,
    /// Journals whose process may be dead: each is locked and opened when its turn comes, so that a thousand take no more descriptors
    /// than one.
    orphans: RefCell<VecDeque<PathBuf>>,
}

async fn run(core: &Core, options: &ConnectOptions, parent: Option<&Path>) {
    let work = Work::default();
    if let Some(parent) = parent {
        *work.orphans.borrow_mut() = orphans(parent);
    }
    let lanes = (0..core.settings.connections).map(|number| Lane::new(number, core, options, &work).run());
    let deadline = async {
        let deadline = core.control.stopping().await;
        tokio::time::sleep_until(deadline.into()).await;
    };
    let told = metrics::Told::new(core);
    let shipped = tokio::select! {
        biased;
        () = ship(lanes, Lane::new(0, core, options, &work)) => true,
        () = deadline => false,
        () = told.each_second() => false,
        () = upkeep::run(core, options) => false,
    };
    told.now();
    let progress = core.control.progress();
    if shipped
        && progress.stored_to == core.journal.cursor()
        && let Err(error) = core.journal.remove()
    {
        tracing::warn!(journal = %core.journal.id(), %error, "an empty journal cannot be removed; the next start will do it");
    }
}

/// Ships the journal until it is closed and empty; then the calls that are still under way will never say how they ended.
async fn ship(lanes: impl Iterator<Item = impl Future<Output = ()>>, last: Lane<'_>) {
    futures_util::future::join_all(lanes).await;
    last.close_intents().await;
}

fn orphans(parent: &Path) -> VecDeque<PathBuf> {
    let found = Directory::all(parent).map(VecDeque::from);
    found.unwrap_or_else(|error| {
        tracing::warn!(directory = %parent.display(), %error, "journals of dead processes cannot be looked for");
        VecDeque::new()
    })
}
