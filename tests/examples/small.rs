//! The small examples, each run as its own comment describes.

use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use tests::Database;
use tests::examples::example;

/// Runs an example to its end, and returns its standard output and standard error.
fn run(name: &str, database: Option<&Database>) -> (String, String) {
    let mut command = Command::new(example(name));
    match database {
        Some(database) => command.env("DATABASE_URL", &database.url),
        None => command.env_remove("DATABASE_URL"),
    };
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{name}: {stdout}{stderr}");
    (stdout, stderr)
}

#[test]
fn each_is_short_and_has_a_test() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/examples");
    let this = include_str!("small.rs");
    for entry in directory.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines < 60, "{}: {lines} lines", path.display());
        let name = path.file_stem().unwrap().to_str().unwrap();
        // `testing` consists of tests, which run with those of its package.
        assert!(name == "testing" || this.contains(&format!("fn {name}_")), "{name} has no test here");
    }
}

#[test]
fn minimal_prints_each_call_without_a_database() {
    let (stdout, stderr) = run("minimal", None);
    assert_eq!(stdout, "");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    for part in ["order.submitted", "user:ada", r#"ticker="ACME""#, "quantity=10"] {
        assert!(lines[0].contains(part), "{part}: {stderr}");
    }
    for part in ["order.rejected", "error", "at most 100 shares at once, not 1000"] {
        assert!(lines[1].contains(part), "{part}: {stderr}");
    }
}

#[tokio::test]
async fn transaction_stores_the_event_of_what_was_committed_alone() {
    let database = Database::empty().await;
    let (stdout, _) = run("transaction", Some(&database));
    assert_eq!(stdout, "position.updated {\"position\":{\"quantity\":{\"from\":0,\"to\":3}}}\n");
    // Twice in a row.
    assert_eq!(run("transaction", Some(&database)).0, stdout);
    assert_eq!(database.events_of("position.updated").await, 2);
}

#[tokio::test]
async fn personal_data_is_shown_with_the_key_and_gone_once_forgotten() {
    let database = Database::empty().await;
    let (stdout, _) = run("personal_data", Some(&database));
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[1], r#"with the key: "12 Elm Street""#, "{stdout}");
    for line in [lines[0], lines[2]] {
        assert!(!line.contains("Elm"), "{stdout}");
    }
}

#[tokio::test]
async fn background_worker_goes_on_in_the_context_of_the_request() {
    let (_, stderr) = run("background_worker", None);
    for user in ["user:ada", "user:grace"] {
        for event in ["report.requested", "report.built"] {
            let found = stderr.lines().filter(|line| line.contains(event) && line.contains(user)).count();
            assert_eq!(found, 1, "{event} {user}: {stderr}");
        }
    }
}

#[tokio::test]
async fn custom_sink_delivers_each_stored_event() {
    let database = Database::empty().await;
    let (stdout, _) = run("custom_sink", Some(&database));
    let events: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 3, "{stdout}");
    assert!(events.iter().all(|event| event["event_type"] == "order.accepted"), "{stdout}");
}

#[tokio::test]
async fn axum_records_who_asked_and_the_status() {
    let mut server =
        Command::new(example("axum")).env("PORT", "0").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(server.stdout.take().unwrap()).lines();
    let listening = stdout.next().unwrap().unwrap();
    let address = listening.strip_prefix("listening on ").unwrap();
    tests::tls::ready();
    let client = Client::builder().no_proxy().build().unwrap();
    for (order, status) in [(uuid::Uuid::now_v7(), StatusCode::NO_CONTENT), (uuid::Uuid::nil(), StatusCode::NOT_FOUND)]
    {
        let request = client.post(format!("http://{address}/orders/{order}/cancel")).header("x-user", "ada");
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    kill_process(Pid::from_child(&server), Signal::INT).unwrap();
    assert!(server.wait().unwrap().success());
    let mut stderr = String::new();
    server.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(lines.iter().all(|line| line.contains("order.cancelled") && line.contains("user:ada")), "{stderr}");
    assert!(!lines[0].contains("error") && lines[1].contains("error"), "{stderr}");
}
