//! `order-flow`: on a server, on the embedded one, and killed.

use audit_runtime::execution;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tests::examples::binary;
use tests::{Database, eventually};

fn order_flow(database: Option<&Database>) -> Command {
    let mut command = Command::new(binary("order-flow"));
    match database {
        Some(database) => command.env("DATABASE_URL", &database.url),
        None => command.env_remove("DATABASE_URL"),
    };
    command
}

fn text(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn it_records_all_18_event_types_and_shows_three_timelines() {
    let database = Database::empty().await;
    let output = order_flow(Some(&database)).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    let types: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT event_type FROM audit_events").fetch_all(&database.pool).await.unwrap();
    let all = [
        execution::RECOMMENDATION_GENERATED,
        execution::RECOMMENDATION_SUPPRESSED,
        execution::RISK_EVALUATED,
        execution::RISK_REJECTED,
        execution::ORDER_SUBMITTED,
        execution::ORDER_ACCEPTED,
        execution::ORDER_FILLED,
        execution::ORDER_REJECTED,
        execution::ORDER_CANCELLED,
        execution::ORDER_DUPLICATE,
        execution::POSITION_OPENED,
        execution::POSITION_CLOSED,
        execution::POSITION_UPDATED,
        execution::TRADING_MODE_CHANGED,
        execution::APPROVAL_REQUESTED,
        execution::APPROVAL_APPROVED,
        execution::APPROVAL_REJECTED,
        execution::APPROVAL_EXPIRED,
    ];
    assert_eq!(BTreeSet::from_iter(types.iter().map(String::as_str)), BTreeSet::from(all));
    for part in ["A filled order", "An order the risk rules rejected", "An order the broker rejected", "ns a call paid"]
    {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    for event in ["order.filled", "risk.rejected", "order.rejected"] {
        assert!(stdout.contains(event), "{event}: {stdout}");
    }
    assert!(
        stdout.contains(&format!("{0} events recorded, {0} stored, 0 refused", database.events().await)),
        "{stdout}"
    );
    assert!(stderr.contains("orders.csv:391: skipped: quantity is -5"), "{stderr}");
    assert_eq!(stderr.matches("skipped").count(), 9, "{stderr}");
    crate::catalogues::is_as_before(&database, "order-flow").await;
}

#[test]
fn without_a_server_it_brings_its_own() {
    let output = order_flow(None).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.contains("PostgreSQL 17, embedded") && stdout.contains("A filled order"), "{stdout}");
}

#[tokio::test]
async fn the_page_of_its_own_server_opens_the_three_orders_without_a_warning() {
    let mut child = order_flow(None)
        .args(["--serve", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let address = errors.find_map(|line| Some(line.split_once("the page is at ")?.1.trim_end_matches('/').to_owned()));
    let address = address.unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let paths: Vec<String> = lines
        .filter_map(|line| Some(format!("/correlation/{}", line.split_once(" /correlation/")?.1)))
        .take(3)
        .collect();
    // Meanwhile the writer finds the one connection taken, for longer than it waits for one.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(13) {
        for path in &paths {
            tests::tls::ready();
            let shown = reqwest::get(format!("{address}{path}")).await.unwrap();
            // One viewer asks more than the server allows.
            let is_limited = shown.status() == 429;
            assert!(is_limited || shown.text().await.unwrap().contains("<tr class=\"event\""), "{path}");
        }
    }
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let said: Vec<String> = errors.collect();
    assert!(child.wait().unwrap().success() && said.is_empty(), "{said:#?}");
}

#[tokio::test]
async fn orders_come_from_standard_input_too_and_none_is_an_error_that_says_so() {
    let database = Database::empty().await;
    let header = "ticker,side,quantity,order_type,limit_price,idempotency_key,confidence,requested_by\n";
    let csv = |lines: &str| format!("{header}{lines}");
    for (csv, problems) in [
        (csv("AAPL,buy,1,market,,k,0.9,ann\n"), vec![]),
        (csv(""), vec!["no line is an order, of 0"]),
        (
            csv("AAPL,hold,1,market,,k,0.9,ann\nAAPL,buy,-1,market,,k,0.9,ann\n"),
            vec!["-:2: ", "-:3: quantity is -1", "no line is an order, of 2"],
        ),
        (
            "ticker,side\nAAPL,buy\n".into(),
            vec!["-:2: ", "the columns quantity, order_type", "the first line names ticker, side"],
        ),
        (String::new(), vec!["the file is empty"]),
    ] {
        let mut child = order_flow(Some(&database))
            .args(["--orders", "-"])
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        write!(child.stdin.take().unwrap(), "{csv}").unwrap();
        let output = child.wait_with_output().unwrap();
        let (stdout, stderr) = text(&output);
        assert_eq!(output.status.success(), problems.is_empty(), "{stdout}{stderr}");
        assert!(problems.iter().all(|problem| stderr.contains(problem)), "{stderr}");
        assert!(!stderr.contains("backtrace"), "{stderr}");
    }
}

#[tokio::test]
async fn interrupted_it_stores_what_it_has_and_says_so() {
    let database = Database::empty().await;
    let mut child = order_flow(Some(&database))
        .args(["--verbose", "--repeat", "1000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.by_ref().take(100).for_each(|line| drop(line.unwrap()));
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    lines.for_each(|line| drop(line.unwrap()));
    let output = child.wait_with_output().unwrap();
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    let rows = database.events().await;
    assert!(stderr.contains(&format!("interrupted: {rows} events stored, 0 left in the journal")), "{rows}: {stderr}");
}

#[tokio::test]
async fn killed_it_has_lost_nothing_that_returned() {
    let database = Database::new().await;
    let journals = database.journals.path();
    let mut child = order_flow(Some(&database))
        .args(["--verbose", "--repeat", "1000", "--journal"])
        .arg(journals)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Each line contains the number of events recorded when the order's calls had returned.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = lines.by_ref().take(5_000).last().unwrap().unwrap();
    child.kill().unwrap();
    // The rest of the pipe, whose last line may be torn.
    last = lines.map_while(Result::ok).filter(|line| line.ends_with("events recorded")).last().unwrap_or(last);
    child.wait().unwrap();
    let recorded: i64 = last.rsplit(", ").next().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(database.journal_directories(), 1);

    let next = database.audit().start().unwrap();
    eventually("the journal is shipped", || async { database.journal_directories() == 1 }).await;
    next.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!(database.journal_directories(), 0);
    let rows = database.events().await;
    // The calls between the last line that came through and the kill are there too.
    assert!(rows >= recorded && rows <= recorded + 100, "{rows} rows, {recorded} recorded at least");
    assert_eq!(database.count("SELECT count(DISTINCT id) FROM audit_events").await, rows);
    assert_eq!(database.count("SELECT sum(rows)::bigint FROM audit_batches").await, rows);
}
