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
        let mut child = Command::new(binary("broker-service"))
            .args(["--listen", "127.0.0.1:0", "--journal"])
            .arg(database.journals.path())
            .env("DATABASE_URL", &database.url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = stdout.next().unwrap().unwrap();
        let url = listening.strip_prefix("listening on ").unwrap().to_owned();
        Self { child, stdout, url, client: Client::builder().no_proxy().build().unwrap() }
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let response = self.client.post(format!("{}{path}", self.url)).json(&body).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn trail(&self, placed: &Value) -> Vec<Value> {
        let (order, recommendation) =
            (placed["order_id"].as_str().unwrap(), placed["recommendation_id"].as_str().unwrap());
        let url = format!("{}/orders/{order}/trail?recommendation={recommendation}", self.url);
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// Stops it as a service manager does; gives what it said last.
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

    eventually("the trail is stored", || async { service.trail(&approved).await.len() == 7 }).await;
    let trail = service.trail(&approved).await;
    assert_eq!(
        types(&trail),
        [
            "recommendation.generated",
            "risk.evaluated",
            "approval.requested",
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
    assert_eq!(trail[4]["causation_id"], trail[3]["id"], "the broker's answer came within the submission");
    assert_eq!(trail[0]["context"], json!({"requested_by": "ann"}));

    let farewell = service.terminate();
    let rows = database.events().await;
    assert_eq!(farewell, format!("stored {rows}, left in the journal 0"));
    assert_eq!(database.journal_directories(), 0);
}
