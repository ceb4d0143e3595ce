//! Targets that are told to fail: events are sent again, and one that is refused is set aside.

use crate::endpoint::Endpoint;
use crate::{forward, ids, lines, record, run, sorted, stored};
use audit_runtime::sqlx;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use tests::{Database, secret_file};

/// Records so many events of ten kilobytes.
async fn record_large(database: &Database, events: u32) {
    let audit = database.audit().start().unwrap();
    let text = serde_json::json!({"text": "x".repeat(10_000)});
    for _ in 0..events {
        audit.record(audit_runtime::Event::new("note.made").data(&text)).unwrap();
    }
    audit.shutdown(crate::LONG).await.unwrap();
}

#[tokio::test]
async fn a_file_gets_each_event_once_and_goes_on() {
    let database = Database::new().await;
    let file = database.journals.path().join("events.ndjson");
    let to = file.to_str().unwrap();
    record(&database, 700).await;
    assert_eq!(forward(&database, to, &[]), (0, "audit-trail: 700 events sent, 0 events set aside\n".into()));
    record(&database, 3).await;
    let (code, text) = forward(&database, to, &[]);
    assert_eq!((code, text.contains("3 events sent")), (0, true), "{text}");
    assert_eq!(forward(&database, to, &[]).1, "audit-trail: 0 events sent, 0 events set aside\n");
    assert_eq!(ids(&lines(&file)), stored(&database).await);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_is_rotated_by_its_size_and_by_others() {
    let database = Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.csv");
    let to = file.to_str().unwrap();
    record_large(&database, 400).await;
    let (code, text) = forward(&database, to, &["--form", "csv", "--rotate", "1"]);
    assert_eq!(code, 0, "{text}");
    let files = |directory: &std::path::Path| {
        let mut files: Vec<_> = fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path()).collect();
        files.sort();
        files
    };
    let all = files(directory.path());
    assert!(all.len() >= 4, "{all:?}");
    let mut rows = 0;
    for file in &all {
        assert!(fs::metadata(file).unwrap().len() <= 1 << 20);
        rows += csv::Reader::from_path(file).unwrap().records().map(Result::unwrap).count();
    }
    assert_eq!(rows, 400, "each file has its header, and no event is in two");
    // Another program takes the file away, as logrotate does.
    fs::rename(&file, directory.path().join("taken")).unwrap();
    record(&database, 2).await;
    assert_eq!(forward(&database, to, &["--form", "csv"]).0, 0);
    assert_eq!(csv::Reader::from_path(&file).unwrap().records().count(), 2);
    // Those that are kept are the newest.
    let other = Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events");
    record_large(&other, 400).await;
    assert_eq!(forward(&other, file.to_str().unwrap(), &["--rotate", "1", "--keep", "1"]).0, 0);
    assert_eq!(files(directory.path()).len(), 2);
}

#[tokio::test]
async fn a_full_disk_is_waited_for_and_no_half_line_stays() {
    let Some(disk) = tests::SmallDisk::mount(1 << 20) else { return };
    let database = Database::new().await;
    record_large(&database, 300).await;
    let file = disk.path().join("events");
    // The line that was there before stays.
    fs::write(&file, "{\"id\": 0}\n").unwrap();
    for _ in 0..2 {
        let (code, text) = forward(&database, file.to_str().unwrap(), &[]);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("No space left on device") && text.contains("run it again"), "{text}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"id\": 0}\n", "nothing is taken, and nothing in the way");
    }
    disk.resize(8 << 20);
    assert_eq!(forward(&database, file.to_str().unwrap(), &[]).0, 0);
    assert_eq!(ids(&lines(&file)[1..]), stored(&database).await, "each once");
}

#[tokio::test]
async fn a_disk_that_fills_while_files_are_rotated_has_no_event_twice() {
    let Some(disk) = tests::SmallDisk::mount(5 << 19) else { return };
    let database = Database::new().await;
    record_large(&database, 400).await;
    let file = disk.path().join("events");
    let arguments = ["forward", "--to", file.to_str().unwrap(), "--from", "beginning", "--rotate", "1"];
    let running = crate::Running::start(&database, &arguments);
    let full = "SELECT count(*) FROM audit_feeds WHERE waits_for LIKE '%No space left%'";
    tests::eventually("the disk is full", async || database.count(full).await == 1).await;
    disk.resize(16 << 20);
    tests::eventually("all are sent", async || {
        database.count("SELECT sum(sent)::bigint FROM audit_feeds").await == 400
    })
    .await;
    assert_eq!(running.terminate(), 0);
    let files = fs::read_dir(disk.path()).unwrap().map(|entry| entry.unwrap().path());
    let all: Vec<_> = files.flat_map(|file| lines(&file)).collect();
    assert_eq!(ids(&all), stored(&database).await);
}

#[tokio::test]
async fn an_endpoint_that_fails_gets_the_same_request_again() {
    let database = Database::new().await;
    record(&database, 5).await;
    let tries = AtomicUsize::new(0);
    let endpoint = Endpoint::start(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => None,
        1 => Some((503, "retry-after: 0\r\n", b"not now".to_vec())),
        2 => Some((429, "", Vec::new())),
        _ => Some((202, "", Vec::new())),
    })
    .await;
    let to = format!("http://127.0.0.1:{}/in?x=1", endpoint.port);
    let token = secret_file(database.journals.path(), "token", "abc123");
    let arguments = ["forward", "--to", &to, "--from", "beginning", "--token", &token, "--name", "siem"];
    let mut running = crate::Running::start(&database, &arguments);
    tests::eventually("it is taken", async || endpoint.requests().len() >= 4).await;
    tests::eventually("it is saved", async || {
        database.count("SELECT coalesce(sum(sent), 0)::bigint FROM audit_feeds").await == 5
    })
    .await;
    running.kill();
    let requests = endpoint.requests();
    let keys: Vec<_> = requests.iter().map(|request| &request.headers["idempotency-key"]).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    let first = &requests[0];
    assert_eq!((first.path.as_str(), first.headers["authorization"].as_str()), ("/in?x=1", "Bearer abc123"));
    assert_eq!(first.headers["content-encoding"], "gzip");
    assert_eq!(first.headers["content-type"], "application/x-ndjson");
    assert_eq!(requests[3].text().lines().count(), 5);
}

#[tokio::test]
async fn requests_are_signed_by_a_secret() {
    let database = Database::new().await;
    record(&database, 2).await;
    let endpoint = Endpoint::taking().await;
    let secret = secret_file(database.journals.path(), "secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let to = format!("http://127.0.0.1:{}/", endpoint.port);
    assert_eq!(forward(&database, &to, &["--signing-secret", &secret]).0, 0);
    let request = &endpoint.requests()[0];
    let (id, time) = (&request.headers["webhook-id"], &request.headers["webhook-timestamp"]);
    let key = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let signed = [format!("{id}.{time}.").as_bytes(), &request.raw].concat();
    assert_eq!(
        request.headers["webhook-signature"],
        format!("v1,{}", BASE64_STANDARD.encode(hmac_sha256(&key, &signed)))
    );
}

/// HMAC by its definition in RFC 2104.
fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    assert!(key.len() <= 64);
    let padded = |byte: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ byte).collect() };
    let inner = Sha256::digest([&padded(0x36), text].concat());
    Sha256::digest([&padded(0x5c)[..], &inner].concat()).to_vec()
}

#[tokio::test]
async fn a_command_takes_events_by_its_exit_status() {
    let database = Database::new().await;
    record(&database, 9).await;
    let file = database.journals.path().join("taken");
    let to = format!("| cat >> {}; test $AUDIT_FEED = kafka", file.display());
    let (code, text) = forward(&database, &to, &["--name", "other"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("is away: exit status: 1"), "{text}");
    fs::remove_file(&file).unwrap();
    assert_eq!(forward(&database, &to, &["--name", "kafka"]).0, 0);
    assert_eq!(ids(&lines(&file)), stored(&database).await);
    // It refuses one event, and names it to nobody.
    let audit = database.audit().start().unwrap();
    audit.record(audit_runtime::Event::new("order.odd")).unwrap();
    audit.shutdown(crate::LONG).await.unwrap();
    let (code, text) = forward(&database, "| grep -q order.odd && exit 65 || exit 0", &["--name", "picky"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("9 events sent, 1 event set aside"), "{text}");
}

#[tokio::test]
async fn a_slow_target_is_given_up_after_its_limit() {
    let database = Database::new().await;
    record(&database, 1).await;
    let (code, text) = forward(&database, "| sleep 60", &["--timeout", "1", "--name", "slow"]);
    assert_eq!(code, 1);
    assert!(text.contains("did not end within 1 s"), "{text}");
    // Nobody listens.
    let (code, text) = forward(&database, "http://127.0.0.1:1/", &[]);
    assert_eq!(code, 1);
    assert!(text.contains("no connection") && text.contains("refused"), "{text}");
}

/// Waits until a process has ended, whose id a command wrote to a file.
fn ends(path: &std::path::Path) {
    let id = fs::read_to_string(path).unwrap();
    // One that nobody has waited for yet has no command line.
    tests::wait::until("the process ends", || {
        let line = fs::read(format!("/proc/{}/cmdline", id.trim())).unwrap_or_default();
        line.is_empty().then_some(())
    });
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_command_is_killed_with_all_that_it_started() {
    let database = Database::new().await;
    record(&database, 1).await;
    let path = database.journals.path().join("id");
    // A pipeline whose first command hangs: the shell waits for both.
    let hangs =
        |more: &str| format!("| sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600' | cat{more}", path.display());
    let (code, text) = forward(&database, &hangs("; true"), &["--timeout", "2", "--name", "late"]);
    assert!(code == 1 && text.contains("did not end within 2 s"), "{text}");
    ends(&path);
    // The command fails, and leaves a process behind, which no stream holds.
    let fails = format!("| sleep 600 > /dev/null 2>&1 & echo $! > {}; exit 3", path.display());
    let (code, text) = forward(&database, &fails, &["--name", "fails"]);
    assert!(code == 1 && text.contains("exit status: 3"), "{text}");
    ends(&path);
    // The feed ends while the command runs.
    fs::remove_file(&path).unwrap();
    let to = hangs("; true");
    let arguments = ["forward", "--to", &to, "--from", "beginning", "--name", "ends", "--timeout", "600"];
    let running = crate::Running::start(&database, &arguments);
    tests::eventually("the command runs", async || path.exists()).await;
    assert_eq!(running.terminate(), 0);
    ends(&path);
}

#[tokio::test]
async fn standard_output_gets_the_events_and_nothing_else() {
    let database = Database::new().await;
    record(&database, 3).await;
    let output =
        crate::command(&database, &["forward", "--to", "-", "--from", "beginning", "--once"]).output().unwrap();
    let events: Vec<serde_json::Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids(&events), sorted(stored(&database).await));
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_before_anything_is_sent() {
    let database = Database::new().await;
    let shared = database.journals.path().join("shared");
    fs::write(&shared, "x").unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o644)).unwrap();
    let shared = shared.to_str().unwrap();
    for (arguments, part) in [
        (&["--to", "kafka://x"][..], "unknown scheme"),
        (&["--to", "http://siem.example.com/"], "write https://"),
        (&["--to", "splunk+http://127.0.0.1:1"], "give --token FILE"),
        (&["--to", "syslog+tcp://127.0.0.1:1", "--form", "csv"], "choose another form"),
        (&["--to", "-", "--from", "never"], "--from"),
        (&["--to", "https://127.0.0.1:1/", "--token", shared], "chmod 600"),
        (&["--to", "https://127.0.0.1:1/", "--ca", "/nowhere.pem"], "--ca /nowhere.pem"),
        (&["--to", "-", "--mapping", "/nowhere.toml"], "/nowhere.toml"),
        (&["--to", "-", "--cert", "a"], "--cert-key"),
        (&["--to", "-", "--name", ""], "needs a name"),
    ] {
        let (code, text) = run(&database, &[&["forward", "--once"], arguments].concat());
        assert_eq!(code, 2, "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    }
    assert_eq!(database.count("SELECT count(*) FROM audit_feeds").await, 0);
}

#[tokio::test]
async fn a_target_with_a_secret_needs_a_name_and_is_shown_without_it() {
    let database = Database::new().await;
    record(&database, 2).await;
    let endpoint = Endpoint::taking().await;
    for (to, shown) in [
        (format!("http://127.0.0.1:{}/in?token=s3cret", endpoint.port), "/in?.."),
        ("| test s3cret && cat > /dev/null".to_owned(), "| test .."),
        ("| TOKEN=s3cret cat > /dev/null".to_owned(), "| .."),
    ] {
        let (code, text) = forward(&database, &to, &[]);
        assert!(code == 2 && text.contains("give --name NAME") && text.contains(shown), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
        // A feed that an older version named by its target goes on by that name.
        let old = "INSERT INTO audit_feeds (name, target, form, position) SELECT $1, $1, 'ndjson', position FROM audit_feeds WHERE name = 'whole'";
        assert_eq!(forward(&database, "-", &["--name", "whole"]).0, 0);
        sqlx::query(old).bind(&to).execute(&database.pool).await.unwrap();
        let (code, text) = forward(&database, &to, &["--name", &to]);
        assert!(code == 0 && text.contains("0 events sent"), "{text}");
        let (code, text) = forward(&database, &to, &["--name", shown]);
        assert!(code == 0 && text.contains("2 events sent"), "{text}");
    }
    let leaks = "SELECT count(*) FROM audit_feeds WHERE target LIKE '%s3cret%'";
    assert_eq!(database.count(leaks).await, 0);
}

#[tokio::test]
async fn tls_needs_the_certificates_that_were_named() {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::server::WebPkiClientVerifier;
    use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};
    let authority = |name: &str| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let ours = authority("ca");
    let leaf = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
        (certificate, key)
    };
    let (server, server_key) = leaf("localhost");
    let (client, client_key) = leaf("client");
    let provider = std::sync::Arc::new(crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ours.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.der().clone()], PrivateKeyDer::try_from(server_key.serialize_der()).unwrap())
        .unwrap();
    let endpoint = Endpoint::start_with(Some(config), |_| Some((200, "", Vec::new()))).await;
    let database = Database::new().await;
    record(&database, 4).await;
    let path = |name: &str, text: &str| secret_file(database.journals.path(), name, text);
    let ca = path("ca.pem", &ours.pem());
    let other = path("other.pem", &authority("other").pem());
    let (cert, key) = (path("cert.pem", &client.pem()), path("key.pem", &client_key.serialize_pem()));
    let to = format!("https://localhost:{}/", endpoint.port);
    let (code, text) = forward(&database, &to, &["--ca", &other]);
    assert!(code == 1 && text.contains("certificate"), "{text}");
    // The alert of TLS 1.3 may come before the request, or behind it.
    let (code, text) = forward(&database, &to, &["--ca", &ca]);
    assert!(code == 1 && text.contains("no connection"), "{text}");
    assert!(endpoint.requests().is_empty());
    let (code, text) = forward(&database, &to, &["--ca", &ca, "--cert", &cert, "--cert-key", &key]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(ids(&endpoint.lines()), stored(&database).await);
}

#[tokio::test]
async fn two_targets_are_two_feeds() {
    let database = Database::new().await;
    record(&database, 6).await;
    let endpoint = Endpoint::taking().await;
    let file = database.journals.path().join("all");
    let to = format!("http://127.0.0.1:{}/", endpoint.port);
    assert_eq!(forward(&database, file.to_str().unwrap(), &[]).0, 0);
    assert_eq!(forward(&database, &to, &["--event", "nothing.*"]).0, 0);
    assert_eq!(endpoint.requests().len(), 0);
    let (_, text) = run(&database, &["feed", "list"]);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("behind by none"), "{text}");
}
