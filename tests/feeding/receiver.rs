//! An HTTP server that takes events, and loses answers, refuses or cuts at random.

use rand::prelude::*;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The server. The events that it has taken outlive a restart.
pub(crate) struct Receiver {
    port: u16,
    seed: u64,
    taken: Arc<Mutex<Vec<String>>>,
    behaves: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Listens on a port, or on any.
    pub(crate) fn start(port: u16, seed: u64) -> Self {
        Self::with(port, seed, Arc::default(), Arc::default())
    }

    fn with(port: u16, seed: u64, taken: Arc<Mutex<Vec<String>>>, behaves: Arc<AtomicBool>) -> Self {
        let listener = tests::wait::until("the port is free", || TcpListener::bind(("127.0.0.1", port)).ok());
        let port = listener.local_addr().unwrap().port();
        let ends = Arc::new(AtomicBool::new(false));
        let (kept, is_good, ended) = (Arc::clone(&taken), Arc::clone(&behaves), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            let mut random = StdRng::seed_from_u64(seed);
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (kept, is_good, ended) = (Arc::clone(&kept), Arc::clone(&is_good), Arc::clone(&ended));
                let seed = random.random();
                std::thread::spawn(move || serve(&stream, &kept, &is_good, &ended, seed));
            }
        });
        Self { port, seed, taken, behaves, ends, thread: Some(thread) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it, and starts another on its port.
    pub(crate) fn restart(mut self) -> Self {
        self.end();
        Self::with(self.port, self.seed + 1, Arc::clone(&self.taken), Arc::clone(&self.behaves))
    }

    /// Takes everything from now on.
    pub(crate) fn behave(&self) {
        self.behaves.store(true, Ordering::Relaxed);
    }

    pub(crate) fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }

    fn end(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // It wakes up by a connection.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(stream: &TcpStream, taken: &Mutex<Vec<String>>, behaves: &AtomicBool, ended: &AtomicBool, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut reader = BufReader::new(stream);
    while let Some(body) = read(&mut reader) {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let case = if behaves.load(Ordering::Relaxed) { 0 } else { random.random_range(0..10) };
        let status = match case {
            // It is cut before it has taken, or after.
            8 => return,
            7 => "503 Later",
            _ => "200 OK",
        };
        if case != 7 {
            taken.lock().unwrap().extend(body.lines().map(str::to_owned));
        }
        if case == 9 || write!(&*stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            None if line.trim_end().is_empty() => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}
