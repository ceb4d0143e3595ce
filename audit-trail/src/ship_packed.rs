//! `audit-trail journal ship FILE`: journals that were packed on another machine.

use crate::failure::{Failure, INTERRUPTED};
use crate::journal::{self, Ship};
use crate::pack::packer;
use crate::say;
use crate::server::{ANSWER, Server};
use crate::signals::Ends;
use audit_runtime::MasterKey;
use std::path::PathBuf;
use uuid::Uuid;

/// A directory that goes with this.
struct Unpacked(PathBuf);

impl Drop for Unpacked {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Ships the journals of a file. Until all is stored, the file is as it was.
pub(crate) async fn ship(command: &Ship, server: &Server, key: Option<MasterKey>) -> Result<(), Failure> {
    let file = command.path();
    if command.watches() {
        let file = file.display();
        return Err(Failure::Usage(format!("{file} is a file, and --watch is for a directory; leave --watch out")));
    }
    // Unpacked journals are in clear, and must not outlast an interrupt.
    let mut ends = Ends::listen()?;
    let unpacked = Unpacked(std::env::temp_dir().join(format!("audit-trail-{}", Uuid::new_v4().simple())));
    packer(key.clone()).unpack(file, &unpacked.0)?;
    let shipping = async {
        if !command.has_relay() {
            server.greet(ANSWER.min(command.timeout())).await?;
        }
        journal::ship(&command.of(unpacked.0.clone()), server, key).await
    };
    let shipped = tokio::select! {
        shipped = shipping => shipped,
        () = ends.next() => {
            drop(unpacked);
            say::notice("interrupted; events that are not stored yet stay in the file");
            std::process::exit(INTERRUPTED);
        }
    };
    match shipped {
        Ok(()) => {
            say::notice(format!("PostgreSQL has all events of {}, which may be removed", file.display()));
            Ok(())
        }
        Err(Failure::Other(why)) => Err(Failure::Other(format!("{why}; all of it is still in {}", file.display()))),
        Err(failure) => Err(failure),
    }
}
