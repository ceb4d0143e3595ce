//! Journal directories on this machine.

use super::Doctor;
use super::finding::{Findings, JOURNAL_DISK, JOURNAL_LEFT_OVER, JOURNAL_MODE, JOURNAL_UNREADABLE};
use crate::journal;
use crate::server::Server;
use crate::text::count;
use std::path::Path;

const MEBIBYTE: u64 = 1 << 20;

/// Checks each directory. With a server, events that it has stored already do not count as left.
pub(super) async fn check(doctor: &Doctor, server: Option<&Server>, findings: &mut Findings) {
    if doctor.journal.is_empty() {
        findings.not_checked("journals", "give --journal DIRECTORY on each machine with services");
    }
    for directory in &doctor.journal {
        mode(directory, findings);
        space(directory, doctor.journal_free * MEBIBYTE, findings);
        left_over(directory, server, findings).await;
    }
}

async fn left_over(directory: &Path, server: Option<&Server>, findings: &mut Findings) {
    let journals = match journal::look(directory, server).await {
        Ok(journals) => journals,
        Err(error) => {
            let remedy = format!("run audit-trail journal status {} as the user of the service", directory.display());
            return findings.push(&JOURNAL_UNREADABLE, error.to_string(), remedy);
        }
    };
    let left: Vec<u64> =
        journals.iter().filter(|journal| journal.has_ended()).map(|one| one.at_most().events).collect();
    let events: u64 = left.iter().sum();
    if events > 0 {
        let (journals, directory) = (count(left.len() as u64, "journal", "journals"), directory.display());
        let events = count(events, "event", "events");
        findings.push(
            &JOURNAL_LEFT_OVER,
            format!("{journals} of ended processes under {directory}, with {events} that are not stored"),
            format!("audit-trail journal ship {directory}"),
        );
    }
}

/// Compares modes: nobody else may write to the directory, nor read a journal in it.
fn mode(directory: &Path, findings: &mut Findings) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        const OTHERS: u32 = 0o007;
        const OTHERS_WRITE: u32 = 0o002;
        let mode = |path: &Path| {
            path.symlink_metadata().ok().filter(|found| !found.is_symlink()).map(|found| found.mode() & 0o7777)
        };
        let mut wrong = |path: &Path, forbidden: u32, change: &str| match mode(path) {
            Some(mode) if mode & forbidden != 0 => {
                let path = path.display();
                findings.push(
                    &JOURNAL_MODE,
                    format!("{path} has the mode {mode:o}"),
                    format!("chmod -R {change} {path}"),
                );
            }
            _ => {}
        };
        wrong(directory, OTHERS_WRITE, "o-w");
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            wrong(&entry.path(), OTHERS, "o-rwx");
        }
    }
    #[cfg(not(unix))]
    let _ = (directory, findings);
}

/// Compares the free space with the one that a journal needs.
fn space(directory: &Path, needed: u64, findings: &mut Findings) {
    #[cfg(target_os = "linux")]
    if let Ok(disk) = rustix::fs::statvfs(directory) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < needed {
            let (free, needed) = (indicatif::HumanBytes(free), indicatif::HumanBytes(needed));
            findings.push(
                &JOURNAL_DISK,
                format!("the disk of {} has {free} free, and {needed} are needed", directory.display()),
                "free some space, or lower Builder::journal_limit and --journal-free",
            );
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (directory, needed);
        findings.not_checked("free space", "this system is not Linux");
    }
}
