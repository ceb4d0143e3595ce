//! The socket of a relay: who may connect, and what it does with strangers.

use super::relay::behind;
use audit_runtime::Event;
use audit_runtime::relay::{Relay, RelayAddress, RelayListener};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use tests::{Database, RelayProcess};

fn unix(path: &Path) -> RelayAddress {
    format!("unix:{}", path.display()).parse().unwrap()
}

async fn refusal(address: &RelayAddress) -> String {
    RelayListener::bind(address, None).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_socket_is_its_users_alone_and_takes_the_place_of_a_dead_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("relay.sock");
    let listener = RelayListener::bind(&unix(&path), None).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let error = refusal(&unix(&path)).await;
    assert!(error.contains("another relay listens there"), "{error}");
    drop(listener);
    assert!(!path.exists());
    // As a relay that was killed leaves it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let group = rustix::process::getegid().as_raw();
    let _listener = RelayListener::bind(&unix(&path), Some(group)).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
}

#[tokio::test]
async fn an_address_that_cannot_be_is_named_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes.txt");
    std::fs::write(&file, "mine").unwrap();
    let error = refusal(&unix(&file)).await;
    assert!(error.contains("not a socket") && error.contains("notes.txt"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    let error = refusal(&"tcp:0.0.0.0:0".parse().unwrap()).await;
    assert!(error.contains("reached from other machines"), "{error}");
    let error = refusal(&unix(&directory.path().join("no/such/relay.sock"))).await;
    assert!(error.contains("no/such/relay.sock"), "{error}");
    let error = Relay::new("postgres://h/x", 0).unwrap_err().to_string();
    assert!(error.contains("at least one connection"), "{error}");
}

#[tokio::test]
async fn strangers_are_hung_up_on_and_services_go_on() {
    let database = Database::new().await;
    let relay = RelayProcess::start(&database.url);
    let speeches: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0xff; 64],
        &[0; 12],
        // A header that is no question.
        b"\x02\0\0\0\0\0\0\0\x99\x99\x99\x99{}",
        b"",
    ];
    for speech in speeches {
        let mut stranger = UnixStream::connect(relay.socket()).unwrap();
        stranger.write_all(speech).unwrap();
        stranger.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stranger.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{speech:?}: {answer:?}");
    }
    let audit = behind(&relay.address(), database.journals.path()).start().unwrap();
    audit.record(Event::new("order.submitted")).unwrap();
    audit.flush().await.unwrap();
    assert_eq!(database.events().await, 1);
}

#[tokio::test]
async fn a_service_that_finds_no_relay_says_so_and_keeps_its_events() {
    let database = Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let nowhere = format!("unix:{}", directory.path().join("relay.sock").display());
    let audit = behind(&nowhere, database.journals.path()).start().unwrap();
    audit.record(Event::new("order.submitted")).unwrap();
    tests::eventually("it says so", || async {
        audit.stats().last_error.is_some_and(|error| error.contains("relay.sock cannot be reached"))
    })
    .await;
    let report = database.abandon(audit).await;
    assert_eq!(report.left_in_journal, 1);
}
