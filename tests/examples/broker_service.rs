//! `broker-service`: driven by an HTTP client, stopped by SIGTERM.

use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use tests::examples::binary;
use tests::{Database, eventually};

struct Service {
    child: Child,
    stdout: std::io::Lines<BufReader<ChildStdout>>,
    url: String,
    client: Client,
}

impl Service {
    fn start(database: &Database) -> Self {
        Self::start_with(database, &[])
    }

    fn start_with(database: &Database, arguments: &[&str]) -> Self {
        let mut child = Command::new(binary("broker-service"))
            .args(["--listen", "127.0.0.1:0", "--journal"])
            .arg(database.journals.path())
            .args(arguments)
            .env("DATABASE_URL", &database.url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = stdout.next().unwrap().unwrap();
        let url = listening.strip_prefix("listening on ").unwrap().to_owned();
        tests::tls::ready();
        Self { child, stdout, url, client: Client::builder().no_proxy().build().unwrap() }
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.post_with(path, &[], body).await
    }

    async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).json(&body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    async fn trail(&self, placed: &Value) -> Vec<Value> {
        let (order, recommendation) =
            (placed["order_id"].as_str().unwrap(), placed["recommendation_id"].as_str().unwrap());
        let url = format!("{}/orders/{order}/trail?recommendation={recommendation}", self.url);
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// Stops it as a service manager does, and returns its last output.
    fn terminate(mut self) -> String {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        self.stdout.next().unwrap().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn order(quantity: f64, key: &str) -> Value {
    json!({"ticker": "AAPL", "side": "buy", "quantity": quantity, "order_type": "market", "limit_price": null,
           "idempotency_key": key, "confidence": 0.9, "requested_by": "ann"})
}

fn types(trail: &[Value]) -> Vec<&str> {
    trail.iter().map(|event| event["event_type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn orders_are_placed_approved_and_found_in_the_trail() {
    let database = Database::empty().await;
    let service = Service::start(&database);

    let (status, placed) = service.post("/orders", order(10.0, "k1")).await;
    assert_eq!((status, &placed["status"]), (StatusCode::OK, &json!("filled")));
    let (status, _) = service.post("/orders", order(10.0, "k1")).await;
    assert_eq!(status, StatusCode::CONFLICT);

    let (status, waiting) = service.post("/orders", order(300.0, "k2")).await;
    assert_eq!((status, &waiting["status"]), (StatusCode::ACCEPTED, &json!("needs approval")));
    let approval = format!("/approvals/{}", waiting["approval_id"].as_str().unwrap());
    let (status, approved) = service.post(&approval, json!({"approved": true, "reviewed_by": "kim"})).await;
    assert_eq!((status, &approved["status"]), (StatusCode::OK, &json!("filled")));
    let (status, _) = service.post(&approval, json!({"approved": true})).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "an approval is answered once");

    let (status, error) = service.post("/orders", order(-1.0, "k3")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(error["error"], "quantity is -1; it must be above zero");

    eventually("the trail is stored", || async { service.trail(&approved).await.len() == 8 }).await;
    let trail = service.trail(&approved).await;
    assert_eq!(
        types(&trail),
        [
            "recommendation.generated",
            "risk.evaluated",
            "approval.requested",
            "order.submitted",
            "order.submitted",
            "order.accepted",
            "order.filled",
            "position.updated",
        ]
    );
    let approved_by = "SELECT count(*) FROM audit_events WHERE event_type = 'approval.approved' AND actor = 'kim'";
    assert_eq!(database.count(approved_by).await, 1);
    assert!(
        trail.iter().all(|event| event["correlation_id"] == trail[0]["correlation_id"]),
        "one request, one correlation"
    );
    assert_eq!((&trail[3]["outcome"], &trail[3]["intent"]), (&json!("started"), &json!("completed")));
    assert_eq!(trail[4]["causation_id"], trail[3]["id"], "the submission was meant");
    assert_eq!(trail[5]["causation_id"], trail[4]["id"], "the broker's answer came within the submission");
    let quantity = json!({"from": 10.0, "to": 310.0});
    assert_eq!(trail[7]["data"]["changes"]["position"]["quantity"], quantity);
    assert_eq!(trail[0]["context"], json!({"requested_by": "ann"}));

    let farewell = service.terminate();
    // Those of transactions are the transactions' own.
    let rows = database.count("SELECT count(*) FROM audit_events WHERE batch_id IS NOT NULL").await;
    assert_eq!(database.events().await, rows + 2);
    assert_eq!(farewell, format!("stored {rows}, left in the journal 0"));
    assert_eq!(database.journal_directories(), 0);
}

#[tokio::test]
async fn every_event_names_the_operator_and_the_request() {
    let database = Database::empty().await;
    let service = Service::start(&database);
    let headers = [
        ("x-operator", "kim"),
        ("x-request-id", "r-17"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    let (status, placed) = service.post_with("/orders", &headers, order(10.0, "k1")).await;
    assert_eq!(status, StatusCode::OK);
    eventually("the trail is stored", || async { service.trail(&placed).await.len() == 7 }).await;
    for event in service.trail(&placed).await {
        assert_eq!(
            event["context"],
            json!({"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7", "request_id": "r-17",
                   "user": "kim", "requested_by": "ann"})
        );
        assert_eq!(event["correlation_id"], "4bf92f35-77b3-4da6-a3ce-929d0e0e4736");
    }
}

#[tokio::test]
async fn a_change_of_mode_is_on_record_before_it_happens_and_a_position_with_its_row() {
    let database = Database::empty().await;
    let service = Service::start(&database);
    let (status, _) = service.post_with("/mode", &[("x-operator", "kim")], json!({"mode": "paper"})).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    service.post("/orders", order(10.0, "k1")).await;
    eventually("the changes of mode are stored", || async {
        let modes = "SELECT count(*) FROM audit_events WHERE event_type = 'trading.mode_changed'";
        database.count(modes).await == 4
    })
    .await;
    let by_kim = "SELECT count(*) FROM audit_events WHERE context->>'user' = 'kim' AND outcome IN ('started', 'ok')";
    assert_eq!(database.count(by_kim).await, 2);
    // The row came with the transaction, not with a batch.
    let booked = "SELECT count(*) FROM audit_events WHERE event_type = 'position.opened' AND batch_id IS NULL";
    assert_eq!((database.count(booked).await, database.count("SELECT count(*) FROM positions").await), (1, 1));
    // A position that cannot be recorded is not taken.
    let refuse = "ALTER TABLE audit_events ADD CHECK (event_type <> 'position.updated')";
    sqlx::query(refuse).execute(&database.pool).await.unwrap();
    let (status, answer) = service.post("/orders", order(5.0, "k2")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert_eq!(database.count("SELECT quantity::bigint FROM positions").await, 10);
    let failed = "SELECT count(*) FROM audit_events WHERE event_type = 'position.failed' AND outcome = 'error'";
    eventually("that is on record", || async { database.count(failed).await == 1 }).await;
}

#[tokio::test]
async fn prometheus_finds_what_the_trail_counts() {
    let database = Database::empty().await;
    let service = Service::start(&database);
    service.post("/orders", order(10.0, "k1")).await;
    let scraped =
        || async { service.client.get(format!("{}/metrics", service.url)).send().await.unwrap().text().await.unwrap() };
    let value = |text: &str, name: &str| -> Option<f64> {
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{service=\"broker-service\"}}")))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    eventually("all is stored, and told", || async {
        let text = scraped().await;
        let (recorded, stored) =
            (value(&text, "audit_events_recorded_total"), value(&text, "audit_events_stored_total"));
        recorded > Some(7.0) && recorded == stored && value(&text, "audit_events_pending") == Some(0.0)
    })
    .await;
    let text = scraped().await;
    for name in [
        "audit_events_refused_total",
        "audit_events_quarantined_total",
        "audit_events_adopted_total",
        "audit_events_in_transactions_total",
        "audit_batch_retries_total",
        "audit_journal_bytes",
        "audit_lag_seconds",
        "audit_batch_rows_count",
        "audit_commit_seconds_count",
    ] {
        assert!(value(&text, name).is_some(), "{name} in\n{text}");
    }
    assert_eq!(value(&text, "audit_events_in_transactions_total"), Some(1.0));
    let batches = database.count("SELECT count(*) FROM audit_batches").await;
    assert!(value(&text, "audit_batch_rows_count") <= Some(batches as f64));
    assert!(value(&text, "audit_commit_seconds_sum") > Some(0.0));
}

#[tokio::test]
async fn it_is_ready_while_postgresql_is_away_and_not_while_its_journal_is_full() {
    let (mut cluster, mut database) = Database::out_of_reach().await;
    let mut service = Service::start_with(&database, &["--journal-limit", "2097152"]);
    let long = "x".repeat(4_000);
    let switch = async || service.post_with("/mode", &[("x-operator", &long)], json!({"mode": "paper"})).await.0;
    assert_eq!(switch().await, StatusCode::NO_CONTENT);
    eventually("the writer notices", async || service.get("/readyz").await.1.contains("PostgreSQL does not")).await;
    let (status, why) = service.get("/readyz").await;
    assert!(status == StatusCode::OK && why.starts_with("degraded: "), "{status} {why}");
    // A change of mode is required to be on record.
    let mut changes = 0;
    while switch().await == StatusCode::NO_CONTENT {
        changes += 1;
    }
    assert!(changes > 50, "{changes}");
    eventually("it refuses", async || service.get("/readyz").await.0 == StatusCode::SERVICE_UNAVAILABLE).await;
    let (_, why) = service.get("/readyz").await;
    assert!(why.starts_with("refusing events: the journal is full"), "{why}");
    assert_eq!(service.get("/healthz").await, (StatusCode::OK, "alive".into()));

    cluster.up();
    database.reconnect();
    eventually("it is ready again", async || service.get("/readyz").await.0 == StatusCode::OK).await;
    assert_eq!(switch().await, StatusCode::NO_CONTENT);
    cluster.down();
    switch().await;
    kill_process(Pid::from_child(&service.child), Signal::TERM).unwrap();
    assert_eq!(service.child.wait().unwrap().code(), Some(75), "events are left");
}
