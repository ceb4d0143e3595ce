//! A PgBouncer in transaction mode.

use crate::cluster::{give_away, unprivileged};
use crate::wait;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// A running PgBouncer, which ends when it is dropped.
#[derive(Debug)]
pub struct Bouncer {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl Bouncer {
    /// In front of the server on this port, with this many server connections.
    pub fn start(server: u16, connections: usize) -> Self {
        let directory = tempfile::Builder::new().prefix("audit-bouncer-").tempdir().unwrap();
        give_away(directory.path());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = directory.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = {connections}\n"
        );
        // `auth_type = any` takes whoever comes for the user of the database line.
        let settings = settings.replace(&format!("port={server}"), &format!("port={server} user=postgres"));
        std::fs::write(&config, settings).unwrap();
        give_away(&config);
        let child = unprivileged(program())
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait::until("PgBouncer answers", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { child, port, _directory: directory }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The URL of a database, by way of it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join("pgbouncer"))
        .find(|program| program.exists())
        .expect("pgbouncer, on the PATH or in /usr/sbin: scripts/test.sh --install installs it")
}
