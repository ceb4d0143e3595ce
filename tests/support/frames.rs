//! The messages between services and a relay, and a proxy that looks at each.
//!
//! It knows frames alone: header bytes u32, body bytes u32, crc32c u32 of both, header, body.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use tempfile::TempDir;

/// A message, with its announcement.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) header: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn read(stream: &mut impl Read) -> io::Result<Self> {
        let mut announced = [0; 12];
        stream.read_exact(&mut announced)?;
        let length = |at: usize| u32::from_le_bytes(announced[at..at + 4].try_into().unwrap()) as usize;
        let (mut header, mut body) = (vec![0; length(0)], vec![0; length(4)]);
        stream.read_exact(&mut header)?;
        stream.read_exact(&mut body)?;
        Ok(Self { header, body })
    }

    /// Its bytes, with a checksum that fits.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let crc = crc32c::crc32c_append(crc32c::crc32c(&self.header), &self.body);
        let numbers = [self.header.len() as u32, self.body.len() as u32, crc];
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.extend_from_slice(&self.header);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// The way of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From a service to the relay.
    Ask,
    /// From the relay to a service.
    Answer,
}

/// The fate of a connection behind a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onward {
    /// The next message follows.
    Go,
    /// It stays open, and no further message passes this way.
    Halt,
}

/// A proxy in front of a relay's socket, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct FrameProxy {
    directory: TempDir,
    target: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    open: Mutex<Vec<UnixStream>>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FrameProxy {
    /// A proxy in front of the relay at this socket. `pass` writes each message to where it goes, or
    /// does something else. Its error ends the connection.
    pub(crate) fn start(
        target: PathBuf,
        pass: impl Fn(Way, Message, &mut UnixStream) -> io::Result<Onward> + Send + Sync + 'static,
    ) -> Self {
        let directory = tempfile::Builder::new().prefix("audit-frames-").tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("relay.sock")).unwrap();
        let shared = Arc::new(Shared::default());
        let (serving, relay, pass) = (shared.clone(), target.clone(), Arc::new(pass));
        thread::spawn(move || {
            for client in listener.incoming() {
                if serving.ended.load(Ordering::Relaxed) {
                    break;
                }
                let (Ok(client), Ok(relay)) = (client, UnixStream::connect(&relay)) else {
                    continue;
                };
                let (Ok(client_in), Ok(relay_in)) = (client.try_clone(), relay.try_clone()) else {
                    continue;
                };
                let kept = [&client, &relay].into_iter().filter_map(|stream| stream.try_clone().ok());
                locked(&serving.open).extend(kept);
                let (up, down) = (pass.clone(), pass.clone());
                thread::spawn(move || forward(client_in, relay, |message, to| up(Way::Ask, message, to)));
                thread::spawn(move || forward(relay_in, client, |message, to| down(Way::Answer, message, to)));
            }
        });
        Self { directory, target, shared }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("relay.sock")
    }

    /// The address of its socket.
    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// The socket of the relay.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Cuts every open connection.
    pub(crate) fn cut(&self) {
        for stream in locked(&self.shared.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for FrameProxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the accepting thread, which then ends.
        let _ = UnixStream::connect(self.socket());
    }
}

/// Passes messages on, one after another, until a side hangs up, or an error ends the connection.
fn forward(mut from: UnixStream, mut to: UnixStream, pass: impl Fn(Message, &mut UnixStream) -> io::Result<Onward>) {
    while let Ok(message) = Message::read(&mut from) {
        match pass(message, &mut to) {
            Ok(Onward::Go) => {}
            Ok(Onward::Halt) => return,
            Err(_) => break,
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
