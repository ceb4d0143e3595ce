//! The server, the release binary beside this program, and requests to it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tests::Database;
use tests::programs::beside;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server that ends with the program.
pub struct Server {
    child: Child,
    pub address: String,
}

/// An answer, and how long it took from the connection to its last byte.
pub struct Answer {
    pub took: Duration,
    pub status: u16,
    /// The bytes of the body, as they were sent.
    pub body: Vec<u8>,
}

impl Server {
    pub fn start(database: &Database, key: &str, journal: Option<&Path>) -> Self {
        let mut command = Command::new(beside("audit-trail"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--requests-per-second", "0"]);
        command.args(["--public-key", key, "--database-url", &database.url]);
        if let Some(directory) = journal {
            command.arg("--journal").arg(directory);
        }
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.by_ref().find_map(|line| Some(line.split_once("the page is at http://")?.1.to_owned()));
        let address = address.expect("the server starts").trim_end_matches('/').to_owned();
        // It may print more, and must not wait for a reader.
        std::thread::spawn(move || lines.for_each(|line| eprintln!("{line}")));
        Self { child, address }
    }

    /// The most memory that it had so far, in MiB.
    pub fn peak_memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
        peak.unwrap_or(0.0) / 1024.0
    }

    /// Asks for a path, on a connection of its own.
    pub async fn get(&self, path: &str, compressed: bool) -> Answer {
        let begin = Instant::now();
        let mut stream = self.ask(path, compressed).await;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let took = begin.elapsed();
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").expect("an answer has a head");
        let status = std::str::from_utf8(&bytes[9..12]).unwrap().parse().unwrap();
        Answer { took, status, body: bytes.split_off(head + 4) }
    }

    /// Sends a request, whose answer is to be read.
    pub async fn ask(&self, path: &str, compressed: bool) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let encoding = if compressed { "Accept-Encoding: gzip\r\n" } else { "" };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{encoding}Connection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
