//! A gate in front of a relay. It stops messages of one kind, so that a service can be killed while
//! it waits, and lets them through later.

use crate::frames::{FrameProxy, Message, Onward, locked};
use crate::wait;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// The kind of message that a gate stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The first question of a service: no batch has left.
    Greeting,
    /// A batch: the relay does not have it.
    Batch,
    /// The answer to a batch: the database has committed it.
    Stored,
    /// A question about a journal of which every batch is answered.
    End,
}

impl Held {
    fn stops(self, message: &Message) -> bool {
        let keys: &[&[u8]] = match self {
            Self::Greeting => &[b"\"ask\":{\"hello\""],
            Self::Batch => &[b"\"ask\":{\"store\""],
            Self::Stored => &[b"\"answer\":{\"stored\""],
            Self::End => &[b"\"ask\":{\"durable\"", b"\"ask\":{\"interrupt\""],
        };
        keys.iter().any(|key| message.header.windows(key.len()).any(|bytes| bytes == *key))
    }
}

/// A running gate, which ends when it is dropped.
#[derive(Debug)]
pub struct Gate {
    proxy: FrameProxy,
    held: Arc<Mutex<Vec<Message>>>,
}

impl Gate {
    /// A gate in front of the relay at this socket, which stops messages of this kind.
    ///
    /// The connection stays open behind a message that is stopped, as if it were still under way.
    pub fn start(target: PathBuf, kind: Held) -> Self {
        let held = Arc::<Mutex<Vec<Message>>>::default();
        let holding = held.clone();
        let proxy = FrameProxy::start(target, move |_, message, to| {
            if kind.stops(&message) {
                locked(&holding).push(message);
                return Ok(Onward::Halt);
            }
            to.write_all(&message.bytes())?;
            Ok(Onward::Go)
        });
        Self { proxy, held }
    }

    /// A gate that stops nothing, and does something before the first message of this kind goes on.
    pub fn before(target: PathBuf, kind: Held, act: impl FnOnce() + Send + 'static) -> Self {
        let act = Mutex::new(Some(act));
        let proxy = FrameProxy::start(target, move |_, message, to| {
            if kind.stops(&message)
                && let Some(act) = locked(&act).take()
            {
                act();
            }
            to.write_all(&message.bytes())?;
            Ok(Onward::Go)
        });
        Self { proxy, held: Arc::default() }
    }

    /// The address of its socket.
    pub fn address(&self) -> String {
        self.proxy.address()
    }

    /// How many messages it holds.
    pub fn held(&self) -> usize {
        locked(&self.held).len()
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
        let held = std::mem::take(&mut *locked(&self.held));
        for message in &held {
            let mut relay = UnixStream::connect(self.proxy.target()).unwrap();
            relay.write_all(&message.bytes()).unwrap();
            let answer = Message::read(&mut relay).unwrap();
            assert!(Held::Stored.stops(&answer), "{}", String::from_utf8_lossy(&answer.header));
        }
        held.len()
    }
}
