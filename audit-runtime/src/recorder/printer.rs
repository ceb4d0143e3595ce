//! Events as lines of text, in the place of a writer: for development, without a database.

use super::Recorder;
use crate::journal::Next;
use crate::record::{EventRef, TrailEvent};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// How long the printer waits between two looks at the journal.
const LOOK: Duration = Duration::from_millis(20);

/// Starts the thread that prints each event to standard error. It ends when it is asked to stop.
pub(crate) fn start(recorder: Arc<Recorder>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new().name("audit-printer".into()).spawn(move || {
        let _ended = Ended(recorder.clone());
        runtime.block_on(run(&recorder, io::stderr()));
    })?;
    Ok(())
}

struct Ended(Arc<Recorder>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.journal.close();
        self.0.control.update(|progress| progress.ended = true);
    }
}

async fn run(recorder: &Recorder, mut out: impl Write) {
    let (journal, control) = (&recorder.journal, &recorder.control);
    loop {
        recorder.record_lost_events(super::LOSSES_ARE_OVER);
        print(recorder, &mut out);
        if journal.is_closed() && journal.read_position() == journal.cursor() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = control.woken() => {}
            // Once asked to stop, it prints what is there.
            _ = control.stopping(), if !control.is_stopping() => {}
        }
    }
}

/// Prints what has come since. A closed pipe loses lines and no event's caller.
fn print(recorder: &Recorder, out: &mut impl Write) {
    let (mut events, mut json) = (0, Vec::new());
    loop {
        match recorder.journal.read() {
            Next::Record { record, .. } => {
                if let Ok(event) = EventRef::decode(record.payload(), &mut json) {
                    let _ = writeln!(out, "{}", TrailEvent::from(&event).line());
                }
                events += 1;
            }
            Next::Damaged { .. } => {}
            Next::Nothing => break,
        }
    }
    let printed_to = recorder.journal.read_position();
    recorder.journal.acknowledge(printed_to);
    recorder.control.update(|progress| {
        progress.stored_to = printed_to;
        progress.stored += events;
    });
}
