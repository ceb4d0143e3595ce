//! A TCP proxy between writer and server that cuts and stalls connections where a test wants it.

use crate::silence::deafen;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The proxy's treatment of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Forwards everything.
    Pass,
    /// Cuts each connection after so many bytes from the client.
    CutAfterSent(usize),
    /// Cuts each connection after so many bytes from the server.
    CutAfterReceived(usize),
    /// Lets the server commit, and cuts the connection in place of its answer.
    LoseCommitAnswers,
    /// Does so once, and then cuts each connection at its first byte.
    LoseLastCommitAnswer,
    /// After so many bytes from the client the network is silent both ways: no packet arrives, and
    /// neither side is notified.
    SilentAfterSent(usize),
    /// Takes connections and bytes and answers nothing.
    Stall,
    /// Forwards each login, and from then on takes bytes and answers nothing.
    StallAfterLogin,
}

/// A running proxy, which ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: Mutex<SocketAddr>,
    rule: Mutex<Rule>,
    open: Mutex<Vec<TcpStream>>,
    cuts: AtomicUsize,
    silent: AtomicUsize,
    accepted: AtomicUsize,
    ended: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// A proxy to a port of this machine.
    pub fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target: Mutex::new(SocketAddr::from(([127, 0, 0, 1], port))),
            rule: Mutex::new(Rule::Pass),
            open: Mutex::default(),
            cuts: AtomicUsize::new(0),
            silent: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let serving = shared.clone();
        thread::spawn(move || serve(&listener, &serving));
        Self { address, shared }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A server's URL, by way of the proxy.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port())
    }

    /// Sets its behaviour from now on, for open connections too.
    pub fn rule(&self, rule: Rule) {
        *locked(&self.shared.rule) = rule;
    }

    /// Where new connections go from now on.
    pub fn target(&self, port: u16) {
        locked(&self.shared.target).set_port(port);
    }

    /// Cuts every open connection.
    pub fn cut(&self) {
        for stream in locked(&self.shared.open).drain(..) {
            self.shared.cuts.fetch_add(1, Ordering::Relaxed);
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// The network forgets every open connection: no packet of it arrives any more, and neither
    /// side is notified.
    pub fn forget(&self) {
        locked(&self.shared.open).iter().for_each(deafen);
    }

    /// How many connections have become silent by [`Rule::SilentAfterSent`].
    pub fn silent(&self) -> usize {
        self.shared.silent.load(Ordering::Relaxed)
    }

    /// How many connections came.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the accepting thread, which then ends.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::Relaxed) {
            break;
        }
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        let target = *locked(&shared.target);
        let (Ok(client), Ok(server)) = (client, TcpStream::connect(target)) else {
            continue;
        };
        let (committing, ready) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let copies = (client.try_clone(), client.try_clone(), server.try_clone(), server.try_clone());
        let (Ok(kept), Ok(client_in), Ok(server_kept), Ok(server_in)) = copies else {
            continue;
        };
        locked(&shared.open).extend([kept, server_kept]);
        let (up, down) = (shared.clone(), shared.clone());
        let (commits, is_ready) = (committing.clone(), ready.clone());
        thread::spawn(move || forward(client_in, server, &up, Way::Sent, &commits, &is_ready));
        thread::spawn(move || forward(server_in, client, &down, Way::Received, &committing, &ready));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Sent,
    Received,
}

/// Where the server ends the answer to a login, and every other.
const READY_FOR_QUERY: &[u8] = b"Z\0\0\0\x05";

fn forward(
    mut from: TcpStream,
    mut to: TcpStream,
    shared: &Shared,
    way: Way,
    committing: &AtomicBool,
    ready: &AtomicBool,
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut passed = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        let rule = *locked(&shared.rule);
        let room = match (rule, way) {
            (Rule::CutAfterSent(bytes), Way::Sent) | (Rule::CutAfterReceived(bytes), Way::Received) => {
                bytes.saturating_sub(passed)
            }
            (Rule::SilentAfterSent(bytes), Way::Sent) if bytes < passed + read => {
                deafen(&from);
                deafen(&to);
                shared.silent.fetch_add(1, Ordering::Relaxed);
                // The sockets stay open.
                return;
            }
            (Rule::LoseCommitAnswers, Way::Received) if committing.load(Ordering::Acquire) => 0,
            (Rule::LoseLastCommitAnswer, Way::Received) if committing.load(Ordering::Acquire) => {
                // Before the client sees the cut.
                *locked(&shared.rule) = Rule::CutAfterSent(0);
                0
            }
            (Rule::Stall, _) => {
                passed += read;
                continue;
            }
            (Rule::StallAfterLogin, _) if ready.load(Ordering::Acquire) => {
                passed += read;
                continue;
            }
            _ => usize::MAX,
        };
        if way == Way::Sent && buffer[..read].windows(7).any(|bytes| bytes == b"COMMIT\0") {
            committing.store(true, Ordering::Release);
        }
        let is_ready = |bytes: &[u8]| bytes.windows(READY_FOR_QUERY.len()).any(|bytes| bytes == READY_FOR_QUERY);
        if way == Way::Received && is_ready(&buffer[..read]) {
            ready.store(true, Ordering::Release);
        }
        let some = read.min(room);
        if to.write_all(&buffer[..some]).is_err() {
            break;
        }
        passed += some;
        if some < read {
            shared.cuts.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
