//! The process that is killed: it makes calls, and notes each that returned where SIGKILL cannot
//! take it.

use audit_runtime::{Overflow, audited};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tests::programs::destination;
use uuid::Uuid;

/// The same for all processes.
const MASTER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Threads that make calls.
pub(crate) const THREADS: usize = 4;

#[audited(event = "call.made", actor = run, id = None::<Uuid>, only(thread, number, padding))]
fn call(run: &str, thread: usize, number: u64, padding: &str) -> Result<u64, std::convert::Infallible> {
    Ok(number * 2)
}

/// A call that takes a while, so that some are killed inside of it. Its adopter has to encrypt its
/// data to the same bytes.
#[audited(
    event = "call.meant", actor = run, id = None::<Uuid>, only(thread, number), intent,
    personal(note), subject = format_args!("{run}:{thread}"), fields(note = format!("{run} {number}")),
)]
fn meant(run: &str, thread: usize, number: u64) {
    std::thread::sleep(Duration::from_millis(2));
}

/// Makes calls until standard input ends, then shuts down.
pub(crate) fn record(run: &str, url: &str, journals: &Path, returned: &Path) {
    let audit = destination(url)
        .journal(journals)
        .segment_bytes(1 << 20)
        // With small batches, a few seconds are a backlog.
        .batch_rows(if std::process::id().is_multiple_of(2) { 50 } else { 5_000 })
        .journal_limit(1 << 30)
        // While the directory is away, the journal cannot grow, and its callers wait.
        .overflow(Overflow::Wait(Duration::from_secs(10)))
        .service("torture")
        .master_key(MASTER_KEY.parse().unwrap())
        .start()
        .unwrap();
    audit.install().unwrap();
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(returned).unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (ended, file) = (&ended, &file);
            scope.spawn(move || {
                let mut number = 0_u64;
                while !ended.load(Ordering::Relaxed) {
                    // Bursts with pauses, as services have them: the database must be able to
                    // follow.
                    for _ in 0..100 {
                        let padding = "x".repeat((number % 500) as usize);
                        call(run, thread, number, &padding).unwrap_or_default();
                        number += 1;
                        file.write_all_at(&number.to_le_bytes(), 8 * thread as u64).unwrap();
                    }
                    for _ in 0..20 {
                        meant(run, thread, number);
                    }
                    std::thread::sleep(Duration::from_millis(160));
                }
            });
        }
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ended.store(true, Ordering::Relaxed);
    });
    let report = audit.shutdown_blocking(Duration::from_secs(300)).unwrap();
    assert_eq!((report.left_in_journal, report.refused), (0, 0), "{report:?}");
}

/// Makes a few calls, of a trail that ends with the process.
pub(crate) fn record_few(run: &str, url: &str, journals: &Path, returned: &Path) {
    let builder = destination(url).journal(journals).service("torture");
    let audit = builder.on_exit(Duration::from_millis(500)).start().unwrap();
    audit.install().unwrap();
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(returned).unwrap();
    for number in 1..=3_u64 {
        call(run, 0, number - 1, "").unwrap_or_default();
        file.write_all_at(&number.to_le_bytes(), 0).unwrap();
    }
}

/// How many calls of each thread returned.
#[derive(Debug)]
pub(crate) struct Returned([u64; THREADS]);

impl Returned {
    pub(crate) fn read(file: &Path) -> Self {
        let file = File::open(file).ok();
        Self(std::array::from_fn(|thread| {
            let mut bytes = [0; 8];
            let read = file.as_ref().is_some_and(|file| file.read_exact_at(&mut bytes, 8 * thread as u64).is_ok());
            if read { u64::from_le_bytes(bytes) } else { 0 }
        }))
    }

    pub(crate) fn of(&self, thread: usize) -> i64 {
        self.0[thread] as i64
    }
}
