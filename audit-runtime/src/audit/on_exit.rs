//! The end of trails when their process exits: for programs that record something and end.

use crate::recorder::Recorder;
use crate::sys::{block_on, platform};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::time::Duration;

/// The trails to be shut down, and for how long each may take.
static AT_EXIT: Mutex<Vec<(Weak<Recorder>, Duration)>> = Mutex::new(Vec::new());

/// Shuts a trail down when the process exits: when `main` returns, or by `std::process::exit`.
pub(crate) fn shut_down(recorder: &Arc<Recorder>, timeout: Duration) {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        if let Err(error) = platform::at_exit(at_exit) {
            tracing::warn!(%error, "the system registers no function for the process's exit: call Audit::shutdown before it");
        }
    });
    AT_EXIT.lock().unwrap_or_else(PoisonError::into_inner).push((Arc::downgrade(recorder), timeout));
}

extern "C" fn at_exit() {
    let trails = std::mem::take(&mut *AT_EXIT.lock().unwrap_or_else(PoisonError::into_inner));
    // A trail whose writer has ended is gone. The others end at the same time, each on a thread of
    // its own. The thread locals of this one may be destroyed already.
    let ending: Vec<_> = trails
        .into_iter()
        .filter_map(|(recorder, timeout)| Some((recorder.upgrade()?, timeout)))
        .filter(|(recorder, _)| !recorder.journal.is_forked())
        .filter_map(|(recorder, timeout)| {
            let end = move || block_on(recorder.shut_down(timeout, true));
            std::thread::Builder::new().name("audit-exit".into()).spawn(end).ok()
        })
        .collect();
    for thread in ending {
        let _ = thread.join();
    }
}
