//! Paths, queries and cursors that no person makes, and what is no HTTP.

use crate::hostile::form_urlencoded;
use crate::scene::{accounts, key};
use crate::server::{Page, sent};
use futures_util::{StreamExt, stream};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Requests that no person makes.
fn request() -> impl Strategy<Value = String> {
    let id = prop_oneof![Just("00000000-0000-7000-8000-0000000000aa".to_owned()), "[0-9a-f-]{0,40}", "\\PC{0,12}"];
    let part = prop_oneof![
        Just("event".to_owned()),
        Just("entity".into()),
        Just("actor".into()),
        Just("tenant".into()),
        Just("correlation".into()),
        Just("batch".into()),
        Just("batches".into()),
        Just("checkpoint".into()),
        Just("checkpoints".into()),
        Just("status".into()),
        Just("export.csv".into()),
        Just("openapi".into()),
        Just("assets".into()),
        Just("events".into()),
        Just("events".into()),
        Just("login".into()),
        Just("catalogue".into()),
        Just("healthz".into()),
        "\\PC{0,20}",
    ];
    let name = prop_oneof![
        Just("event".to_owned()),
        Just("entity".into()),
        Just("entity_id".into()),
        Just("since".into()),
        Just("until".into()),
        Just("where".into()),
        Just("context".into()),
        Just("older".into()),
        Just("newer".into()),
        Just("tz".into()),
        Just("find".into()),
        Just("before".into()),
        Just("check".into()),
        Just("order".into()),
        Just("batch".into()),
        Just("outcome".into()),
        Just("origin".into()),
        "[a-z_]{0,8}",
    ];
    let value = prop_oneof![
        "\\PC{0,30}",
        "[0-9]{1,25}\\.[0-9a-f]{32}",
        "-?infinity",
        "-?infinity\\.[0-9a-f]{32}",
        "[a-z]{1,6}=[\\[{\"0-9e.]{0,12}",
        "[0-9]{1,7}-[0-9]{2}-[0-9]{2}",
        "[0-9]{1,12}(us|s|m|h|d|w|mo|y)",
        Just("1".to_owned()),
        // A cursor that a page has stated, and what is almost one.
        Just("1777885205000000.000000000000700080000000000000cc".into()),
        "[+-]?[0-9]{1,20}[.,:][0-9a-fA-F-]{30,37}",
        Just("*".repeat(50)),
        Just("account:42".into()),
        "[A-Z][a-z]{2,6}/[A-Z][a-z]{2,8}",
    ];
    let query = prop::collection::vec((name, value), 0..4);
    let suffix = prop_oneof![Just(""), Just(".json"), Just("/proof.json"), Just("/reveal"), Just("/")];
    let parts = (part, prop::collection::vec(id, 0..3), suffix, any::<bool>()).prop_map(|(part, ids, suffix, raw)| {
        let parts: Vec<String> = std::iter::once(part).chain(ids).map(|part| encoded(&part, raw)).collect();
        format!("/{}{suffix}", parts.join("/"))
    });
    // Paths of pages, so that what follows them is read.
    const KNOWN: [&str; 11] = [
        "/",
        "/events.json",
        "/export.ndjson",
        "/batches.json",
        "/checkpoint/1",
        "/entity/account/3",
        "/entity/invoice/INV-3.json",
        "/actor/user:1",
        "/tenant/acme.json",
        "/correlation/00000000-0000-7000-8000-0000000000cc",
        "/status.json",
    ];
    let path = prop_oneof![parts, prop::sample::select(&KNOWN[..]).prop_map(str::to_owned)];
    (path, query, any::<bool>()).prop_map(|(path, query, raw)| {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value, raw))).collect();
        format!("{path}?{}", query.join("&"))
    })
}

/// Percent-encodes a text; or sends it raw, as far as a request can hold it.
fn encoded(text: &str, raw: bool) -> String {
    if raw {
        return text.chars().filter(char::is_ascii_graphic).filter(|c| *c != '#').collect();
    }
    form_urlencoded(text)
}

/// 10,000 by default; AUDIT_PAGE_REQUESTS sets another number.
#[tokio::test]
async fn no_request_is_answered_with_a_fault() {
    let requests = std::env::var("AUDIT_PAGE_REQUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let database = accounts(20, &key()).await;
    // Who looked is on disk, so that no request waits for a transaction.
    let journal = tempfile::tempdir().unwrap();
    let page = Page::start(&database, &["--journal", journal.path().to_str().unwrap()]);
    let mut runner = TestRunner::deterministic();
    let paths = std::iter::repeat_with(|| request().new_tree(&mut runner).unwrap().current()).take(requests);
    let begin = std::time::Instant::now();
    let mut answers = stream::iter(paths)
        .map(async |path| {
            // What is no URL cannot be sent.
            let request = page.request(&path).build().ok()?;
            let answering = async {
                let response = page.client.execute(request).await.unwrap();
                let status = response.status().as_u16();
                // A tail has no end.
                let text = if path.starts_with("/tail") { String::new() } else { response.text().await.unwrap() };
                (status, text)
            };
            let answered = tokio::time::timeout(tests::wait::PATIENCE, answering).await;
            let (status, text) = answered.unwrap_or_else(|_| panic!("{path} has no answer"));
            // Of sixteen requests at once, more than four may be exports.
            let is_full = status == 503 && text.contains("exports run already");
            assert!(status < 500 || is_full, "{path}: {status} {text}");
            Some(status)
        })
        .buffer_unordered(16);
    let mut by_status = std::collections::BTreeMap::<u16, u32>::new();
    while let Some(status) = answers.next().await {
        if let Some(status) = status {
            *by_status.entry(status).or_default() += 1;
        }
    }
    drop(answers);
    eprintln!("{by_status:?} in {:?}", begin.elapsed());
    assert!(by_status.len() > 2 && by_status[&200] > by_status.values().sum::<u32>() / 20, "{by_status:?}");
    assert_eq!(page.said(), [""; 0], "no request panics or writes to the log");
}

#[tokio::test]
async fn raw_requests_that_are_no_http_end_and_the_server_goes_on() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let database = accounts(2, &key()).await;
    let page = Page::start(&database, &[]);
    let address = page.url.strip_prefix("http://").unwrap().to_owned();
    for raw in [
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            .to_owned(),
        "GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        "GET /?%00=%00&actor=%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
        "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
        "GET //evil.example/.. HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
        "GET /.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
        format!("GET /?actor={} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "a".repeat(30_000)),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(100_000)),
        "TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
        "\u{16}\u{3}\u{1}".into(),
    ] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let _ = stream.write_all(raw.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(tests::wait::PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.starts_with("HTTP/1.1 5"), "{raw:.60}: {answer}");
    }
    assert_eq!(sent(page.request("/healthz")).await.text, "alive\n");
}

/// AUDIT_SCHEMATHESIS names the program of the PyPI package schemathesis.
#[tokio::test]
async fn schemathesis_finds_no_deviation_from_the_served_document() {
    let Some(program) = std::env::var_os("AUDIT_SCHEMATHESIS") else {
        eprintln!("skipped: AUDIT_SCHEMATHESIS does not name the program; see scripts/page-fuzz.sh");
        return;
    };
    let examples = std::env::var("AUDIT_SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| "50".into());
    let database = accounts(20, &key()).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("access.toml");
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b"token"));
    let user = "[[user]]\nname = \"ada\"\nroles = [\"view\", \"export\", \"reveal\"]";
    std::fs::write(&file, format!("{user}\ntoken_sha256 = \"{hash}\"\n")).unwrap();
    let journal = directory.path().join("journal");
    let arguments = ["--access", file.to_str().unwrap(), "--journal", journal.to_str().unwrap()];
    let page = Page::start(&database, &arguments);
    let mut command = tokio::process::Command::new(program);
    // A text may have a form (a time, a cursor, key=value) that the document states in words.
    command.args(["run", "--checks", "all", "--exclude-checks", "positive_data_acceptance"]);
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", &examples, "--workers", "2"]);
    command.args(["--continue-on-failure", "--no-color", "--generation-database", "none", "--request-timeout", "30"]);
    command.args(["--header", "Authorization: Bearer token"]).arg(format!("{}/openapi.json", page.url));
    let output = command.current_dir(directory.path()).output().await.unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{report}");
    assert_eq!(page.said(), [""; 0], "no request panics or writes to the log");
}
