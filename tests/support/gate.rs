//! A gate in front of a relay. It stops messages of one kind, so that a service can be killed while
//! it waits, and lets them through later.

use crate::double::Message;
use crate::wait;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tempfile::TempDir;

/// The kind of message that a gate stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The first question of a service: no batch has left.
    Greeting,
    /// A batch: the relay does not have it.
    Batch,
    /// The answer to a batch: the database has committed it.
    Stored,
}

impl Held {
    fn stops(self, message: &Message) -> bool {
        let key: &[u8] = match self {
            Self::Greeting => b"\"ask\":{\"hello\"",
            Self::Batch => b"\"ask\":{\"store\"",
            Self::Stored => b"\"answer\":{\"stored\"",
        };
        message.header.windows(key.len()).any(|bytes| bytes == key)
    }
}

/// A running gate, which ends when it is dropped.
#[derive(Debug)]
pub struct Gate {
    directory: TempDir,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: PathBuf,
    kind: Held,
    held: Mutex<Vec<Message>>,
    ended: AtomicBool,
    open: Mutex<Vec<UnixStream>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    /// A gate in front of the relay at this socket, which stops messages of this kind.
    pub fn start(target: PathBuf, kind: Held) -> Self {
        let directory = tempfile::Builder::new().prefix("audit-gate-").tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("relay.sock")).unwrap();
        let (held, open) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { target, kind, held, ended: AtomicBool::new(false), open });
        let serving = shared.clone();
        thread::spawn(move || serve(&listener, &serving));
        Self { directory, shared }
    }

    /// The address of its socket.
    pub fn address(&self) -> String {
        format!("unix:{}", self.directory.path().join("relay.sock").display())
    }

    /// How many messages it holds.
    pub fn held(&self) -> usize {
        locked(&self.shared.held).len()
    }

    /// Waits until it has stopped a message.
    ///
    /// # Panics
    /// None comes.
    pub fn holds(&self) {
        wait::until("a message is held", || (self.held() > 0).then_some(()));
    }

    /// Hands the messages that it has stopped to the relay, long after they were sent, and waits for
    /// each answer.
    ///
    /// # Panics
    /// The relay cannot be reached, or does not answer.
    pub fn deliver(&self) -> usize {
        let held = std::mem::take(&mut *locked(&self.shared.held));
        for message in &held {
            let mut relay = UnixStream::connect(&self.shared.target).unwrap();
            relay.write_all(&message.bytes()).unwrap();
            let answer = Message::read(&mut relay).unwrap();
            assert!(Held::Stored.stops(&answer), "{}", String::from_utf8_lossy(&answer.header));
        }
        held.len()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        for stream in locked(&self.shared.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the accepting thread, which then ends.
        let _ = UnixStream::connect(self.directory.path().join("relay.sock"));
    }
}

fn serve(listener: &UnixListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::Relaxed) {
            break;
        }
        let (Ok(client), Ok(relay)) = (client, UnixStream::connect(&shared.target)) else {
            continue;
        };
        let (Ok(client_in), Ok(relay_in)) = (client.try_clone(), relay.try_clone()) else {
            continue;
        };
        locked(&shared.open).extend([&client, &relay].into_iter().filter_map(|stream| stream.try_clone().ok()));
        let (up, down) = (shared.clone(), shared.clone());
        thread::spawn(move || forward(client_in, relay, &up));
        thread::spawn(move || forward(relay_in, client, &down));
    }
}

/// Passes messages on, until one is stopped or a side hangs up. The connection stays open behind a
/// message that is stopped, as if it were still under way.
fn forward(mut from: UnixStream, mut to: UnixStream, shared: &Shared) {
    while let Ok(message) = Message::read(&mut from) {
        if shared.kind.stops(&message) {
            locked(&shared.held).push(message);
            return;
        }
        if to.write_all(&message.bytes()).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
