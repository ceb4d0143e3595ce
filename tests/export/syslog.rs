//! A receiver of syslog that loses what it had not stored when it goes away.

use crate::{record, stored};
use std::collections::HashSet;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use tests::{Database, eventually};
use uuid::Uuid;

/// The receiver. It forgets all when it is dropped, and closes its connections.
struct Receiver {
    port: u16,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Receiver {
    fn start(port: u16) -> Self {
        let listener = tests::wait::until("the port is free", || TcpListener::bind(("127.0.0.1", port)).ok());
        let port = listener.local_addr().unwrap().port();
        let (connections, received) = (Arc::<Mutex<Vec<TcpStream>>>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let (kept, text) = (Arc::downgrade(&connections), Arc::clone(&received));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // The listener ends with the receiver.
                let Some(kept) = kept.upgrade() else { return };
                kept.lock().unwrap().push(stream.try_clone().unwrap());
                let text = Arc::clone(&text);
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
                        text.lock().unwrap().extend_from_slice(&buffer[..bytes]);
                    }
                });
            }
        });
        Self { port, connections, received }
    }

    fn has(&self, ids: &[Uuid]) -> bool {
        let text = String::from_utf8_lossy(&self.received.lock().unwrap()).into_owned();
        ids.iter().all(|id| text.contains(&id.to_string()))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let connections = std::mem::take(&mut self.connections);
        for connection in connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        drop(connections);
        // The listener wakes up, and ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        tests::wait::until("the port is closed", || TcpStream::connect(("127.0.0.1", self.port)).err());
    }
}

#[tokio::test]
async fn what_a_receiver_lost_is_sent_again_after_a_long_outage() {
    let database = Database::new().await;
    record(&database, 1).await;
    let receiver = Receiver::start(0);
    let port = receiver.port;
    let to = format!("syslog+tcp://127.0.0.1:{port}");
    let arguments = ["forward", "--to", &to, "--from", "beginning", "--form", "ndjson", "--name", "syslog"];
    let running = crate::Running::start(&database, &arguments);
    let first = stored(&database).await;
    eventually("the event is received", async || receiver.has(&first)).await;
    eventually("and the position saved", async || database.count("SELECT sent FROM audit_feeds").await == 1).await;
    drop(receiver);
    let long =
        "SELECT count(*) FROM audit_feeds WHERE moved_at < now() - interval '7 s' AND waits_for LIKE '%refused%'";
    eventually("the receiver is away for longer than messages take", async || database.count(long).await == 1).await;
    // No further event is needed for that.
    let receiver = Receiver::start(port);
    eventually("the event is received again", async || receiver.has(&first)).await;
    eventually("the feed does not wait", async || {
        database.count("SELECT count(*) FROM audit_feeds WHERE waits_for IS NULL").await == 1
    })
    .await;
    // The same with an event that comes during the outage.
    drop(receiver);
    record(&database, 1).await;
    let both: HashSet<Uuid> = stored(&database).await.into_iter().collect();
    assert_eq!(both.len(), 2);
    let away = "SELECT count(*) FROM audit_feeds WHERE waits_for LIKE '%refused%'";
    eventually("the receiver is away", async || database.count(away).await == 1).await;
    let receiver = Receiver::start(port);
    eventually("both are received", async || receiver.has(&both.iter().copied().collect::<Vec<_>>())).await;
    assert_eq!(running.terminate(), 0);
}
