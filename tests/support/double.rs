//! A double of a relay, in front of a real one. It loses, repeats, delays, reorders and alters
//! messages, and lies in answers.

use crate::frames::{FrameProxy, Message, Onward, Way, locked};
use rand::prelude::*;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The longest time that a message is held back.
const HELD: Duration = Duration::from_millis(1_500);

/// A running double, which ends when it is dropped.
#[derive(Debug)]
pub struct Double {
    proxy: FrameProxy,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: PathBuf,
    /// Of a hundred messages, so many meet a fault.
    faults: AtomicUsize,
    met: AtomicUsize,
    random: Mutex<StdRng>,
}

impl Message {
    /// The same with another digit in its header: another root, place, number or key.
    fn with_another_digit(&self, random: &mut StdRng) -> Self {
        let mut other = self.clone();
        let digits: Vec<usize> = (0..other.header.len()).filter(|at| other.header[*at].is_ascii_digit()).collect();
        if let Some(at) = digits.choose(random) {
            // No number begins with a zero.
            other.header[*at] = b'1' + (other.header[*at] - b'0') % 9;
        }
        other
    }

    /// The same with another byte in its body.
    fn with_another_byte(&self, random: &mut StdRng) -> Self {
        let mut other = self.clone();
        if let Some(byte) = other.body.choose_mut(random) {
            *byte ^= 1 << random.random_range(0..8);
        }
        other
    }

    fn is_batch(&self) -> bool {
        self.header.windows(9).any(|bytes| bytes == b"{\"store\":")
    }
}

impl Double {
    /// A double in front of the relay at this socket. Of a hundred messages, `faults` meet a fault.
    pub fn start(target: PathBuf, faults: usize, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            target: target.clone(),
            faults: AtomicUsize::new(faults),
            met: AtomicUsize::new(0),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
        });
        let passing = shared.clone();
        let proxy = FrameProxy::start(target, move |way, message, to| {
            match way {
                Way::Ask => ask(&message, to, &passing)?,
                Way::Answer => answer(&message, to, &passing)?,
            }
            Ok(Onward::Go)
        });
        Self { proxy, shared }
    }

    /// The address of its socket.
    pub fn address(&self) -> String {
        self.proxy.address()
    }

    /// Sets how many of a hundred messages meet a fault.
    pub fn faults(&self, faults: usize) {
        self.shared.faults.store(faults, Ordering::Relaxed);
    }

    /// How many messages have met a fault.
    pub fn met(&self) -> usize {
        self.shared.met.load(Ordering::Relaxed)
    }

    /// Cuts every open connection.
    pub fn cut(&self) {
        self.proxy.cut();
    }
}

impl Shared {
    fn random<T>(&self, choose: impl FnOnce(&mut StdRng) -> T) -> T {
        choose(&mut locked(&self.random))
    }

    /// The fault that a message meets, out of so many kinds.
    fn fault(&self, kinds: usize) -> Option<usize> {
        let faults = self.faults.load(Ordering::Relaxed);
        let fault = self.random(|random| (random.random_range(0..100) < faults).then(|| random.random_range(0..kinds)));
        self.met.fetch_add(usize::from(fault.is_some()), Ordering::Relaxed);
        fault
    }

    fn pause(&self) -> Duration {
        self.random(|random| HELD.mul_f64(random.random()))
    }
}

fn lost() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// A message of a service, on its way to the relay.
fn ask(message: &Message, relay: &mut UnixStream, shared: &Shared) -> io::Result<()> {
    match shared.fault(8) {
        // It is lost, and so is the connection.
        Some(0) => return Err(lost()),
        // It arrives twice.
        Some(1) => relay.write_all(&message.bytes())?,
        // It arrives late.
        Some(2) => thread::sleep(shared.pause()),
        // A copy arrives later, when others have overtaken it, and its sender may be gone.
        Some(3 | 4) if message.is_batch() => {
            let (late, target, pause) = (message.bytes(), shared.target.clone(), shared.pause());
            thread::spawn(move || {
                thread::sleep(pause);
                if let Ok(mut relay) = UnixStream::connect(target) {
                    let _ = relay.write_all(&late);
                    let _ = Message::read(&mut relay);
                }
            });
            if shared.random(|random| random.random()) {
                return Err(lost());
            }
        }
        // A bit of it flips, and the checksum does not tell.
        Some(5) => return relay.write_all(&shared.random(|random| message.with_another_byte(random)).bytes()),
        // A bit flips, and the checksum tells.
        Some(6) => {
            let mut bytes = message.bytes();
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            return relay.write_all(&bytes);
        }
        // It is torn.
        Some(7) => {
            let bytes = message.bytes();
            relay.write_all(&bytes[..shared.random(|random| random.random_range(0..bytes.len()))])?;
            return Err(lost());
        }
        _ => {}
    }
    relay.write_all(&message.bytes())
}

/// An answer of the relay, on its way to the service.
fn answer(message: &Message, service: &mut UnixStream, shared: &Shared) -> io::Result<()> {
    match shared.fault(5) {
        // It is lost, and so is the connection.
        Some(0) => return Err(lost()),
        // It comes twice.
        Some(1) => service.write_all(&message.bytes())?,
        // It comes late.
        Some(2) => thread::sleep(shared.pause()),
        // It tells of another batch, another root, or another question.
        Some(3) => {
            service.write_all(&shared.random(|random| message.with_another_digit(random)).bytes())?;
            return Err(lost());
        }
        // It is torn.
        Some(4) => {
            let bytes = message.bytes();
            service.write_all(&bytes[..shared.random(|random| random.random_range(0..bytes.len()))])?;
            return Err(lost());
        }
        _ => {}
    }
    service.write_all(&message.bytes())
}
