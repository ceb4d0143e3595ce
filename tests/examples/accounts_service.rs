//! `accounts-service`: driven by an HTTP client, and then asked what auditors ask.

use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use tests::examples::{audit_trail, binary};
use tests::terminal::Terminal;
use tests::{Database, eventually};

struct Service {
    child: Child,
    stdout: std::io::Lines<BufReader<ChildStdout>>,
    url: String,
    client: Client,
    master_key: std::path::PathBuf,
}

/// For whom, by whom and why.
type Caller<'a> = (&'a str, &'a str, &'a str);

const KIM: Caller<'_> = ("acme", "kim", "support case 17");
const LEE: Caller<'_> = ("globex", "lee", "");

impl Service {
    fn start(database: &Database) -> Self {
        let master_key = database.journals.path().join("master.key");
        let made = Command::new(audit_trail()).arg("master-key").arg(&master_key).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut child = Command::new(binary("accounts-service"))
            .args(["--listen", "127.0.0.1:0", "--journal"])
            .arg(database.journals.path().join("journal"))
            .arg("--master-key")
            .arg(&master_key)
            .env("DATABASE_URL", &database.url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = stdout.next().unwrap().unwrap();
        let url = listening.strip_prefix("listening on ").unwrap().to_owned();
        tests::tls::ready();
        Self { child, stdout, url, client: Client::builder().no_proxy().build().unwrap(), master_key }
    }

    async fn post(&self, (tenant, user, reason): Caller<'_>, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).json(&body);
        let request = request.header("x-tenant", tenant).header("x-user", user).header("x-reason", reason);
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn view(&self, (tenant, user, reason): Caller<'_>, customer: &Value) -> StatusCode {
        let request = self.client.get(format!("{}/customers/{customer}", self.url));
        let request = request.header("x-tenant", tenant).header("x-user", user).header("x-reason", reason);
        request.send().await.unwrap().status()
    }

    /// Stops it as a service manager does.
    fn terminate(&mut self) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        assert!(self.stdout.next().unwrap().unwrap().ends_with("left in the journal 0"));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer of the command, as a program reads it.
fn ask(database: &Database, service: &Service, arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new(audit_trail());
    command.args(arguments).args(["--output", "ndjson", "--master-key"]).arg(&service.master_key);
    let output = command.env("DATABASE_URL", &database.url).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same, as a person reads it at 100 columns.
fn shown(database: &Database, service: &Service, arguments: &[&str]) -> String {
    let mut command = Command::new(audit_trail());
    command.args(arguments).arg("--master-key").arg(&service.master_key);
    command.env("DATABASE_URL", &database.url).env("NO_COLOR", "1").env("TZ", "UTC");
    let (text, status) = Terminal::start(command, 100).end();
    assert!(status.success(), "{arguments:?}: {text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{arguments:?}: {text}");
    println!("$ audit-trail {}\n{text}\n", arguments.join(" "));
    text
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event_type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_question_of_an_auditor_is_one_command() {
    let database = Database::empty().await;
    let mut service = Service::start(&database);
    let post = async |caller, path: &str, body| {
        let (status, answer) = service.post(caller, path, body).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    };

    let ann = post(KIM, "/customers", json!({"name": "Ann", "email": "ann@example.com"})).await;
    let bob = post(LEE, "/customers", json!({"name": "Bob", "email": "bob@example.com"})).await;
    let (status, _) = service.post(KIM, "/customers", json!({"name": "Eve", "email": "ann@example.com"})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let account = async |caller, customer: &Value, cents: i64| {
        post(caller, "/accounts", json!({"customer": customer["id"], "limit_cents": cents})).await["id"].clone()
    };
    let (from, to) = (account(KIM, &ann, 100).await, account(LEE, &bob, 0).await);
    let dormant = account(KIM, &ann, 0).await;
    post(KIM, &format!("/accounts/{from}/limit"), json!({"cents": 500})).await;
    post(KIM, "/invoices", json!({"number": "INV-2026-0007", "cents": 300})).await;
    let transfer = |cents: i64| json!({"from": from, "to": to, "invoice": "INV-2026-0007", "cents": cents});
    let (status, why) = service.post(KIM, "/transfers", transfer(900)).await;
    assert_eq!((status, why), (StatusCode::CONFLICT, json!("balance and limit are 500 cents, less than 900")));
    post(KIM, "/transfers", transfer(300)).await;
    post(LEE, "/webhooks/invoices", json!({"number": "INV-2026-0007", "status": "paid"})).await;
    post(KIM, "/login", json!({"email": "ann@example.com", "password": "correct horse"})).await;
    post(KIM, &format!("/customers/{}/address", ann["id"]), json!({"email": "ann@new.example"})).await;
    assert_eq!(service.view(LEE, &ann["id"]).await, StatusCode::OK);
    assert_eq!(post(KIM, "/jobs/close-dormant", json!({})).await, 1);
    eventually("all of it is stored", async || database.events_of("invoice.settled").await == 1).await;
    service.terminate();

    let customer = format!("customer:{}", ann["id"]);
    let of_invoice = ask(&database, &service, &["entity", "invoice", "INV-2026-0007"]);
    let expected = ["invoice.issued", "transfer.refused", "transfer.made", "webhook.received", "invoice.settled"];
    assert_eq!(types(&of_invoice), expected);
    assert_eq!(of_invoice[3]["correlation_id"], of_invoice[4]["correlation_id"], "the worker goes on in the request");
    assert_eq!(of_invoice[4]["actor"], "user:lee");

    let about = ask(&database, &service, &["subject", &customer]);
    let expected = [
        "customer.registered",
        "account.opened",
        "account.opened",
        "limit.changed",
        "transfer.refused",
        "transfer.made",
        "session.opened",
        "address.changed",
        "customer.viewed",
        "customer.viewed",
    ];
    assert_eq!(types(&about), expected);
    assert_eq!(about[0]["data"]["email"], "ann@example.com");
    let address = json!({"email": {"from": "ann@example.com", "to": "ann@new.example"}});
    assert_eq!(about[7]["data"]["changes"], address);

    let looks = ["events", "--event", "customer.viewed", "--entity", &customer, "--since", "last week"];
    let looks = ask(&database, &service, &looks);
    assert!(looks.iter().all(|look| look["actor"] == "user:lee") && looks.len() == 2, "{looks:?}");

    let acme = ask(&database, &service, &["events", "--tenant", "acme"]);
    assert!(types(&acme).contains(&"dormant.closed") && types(&acme).contains(&"account.closed"), "{acme:?}");
    assert!(acme.iter().all(|event| event["tenant"] == "acme"));

    let refused = ask(&database, &service, &["events", "--event", "transfer.refused"]);
    assert_eq!(refused[0]["data"]["error"]["message"], "balance and limit are 500 cents, less than 900");

    let key = from.to_string();
    let limits = ask(&database, &service, &["history", "account", &key, "--field", "limit_cents"]);
    let limits: Vec<_> =
        limits.iter().map(|change| (&change["from"]["value"], &change["to"]["value"], &change["actor"])).collect();
    assert_eq!(limits, [(&json!(100), &json!(500), &json!("user:kim"))]);

    let closed = ask(&database, &service, &["entity", "account", &dormant.to_string()]);
    assert_eq!(types(&closed), ["account.opened", "account.closed"]);

    for question in [
        &["entity", "invoice", "INV-2026-0007"][..],
        &["subject", &customer],
        &["events", "--event", "customer.viewed", "--entity", &customer, "--since", "last week"],
        &["events", "--tenant", "acme"],
        &["events", "--event", "transfer.refused"],
        &["history", "account", &key, "--field", "limit_cents"],
    ] {
        let text = shown(&database, &service, question);
        assert!(!text.trim().is_empty(), "{question:?}");
    }

    // Nothing of what a person gave is readable in the database, and after it is forgotten nowhere.
    let clear = "SELECT count(*) FROM audit_events WHERE data::text LIKE '%ann@%' OR context::text LIKE '%ann@%'";
    assert_eq!(database.count(clear).await, 0);
    let forget = Command::new(audit_trail()).args(["forget", &customer]).env("DATABASE_URL", &database.url).output();
    assert!(forget.unwrap().status.success());
    let about = ask(&database, &service, &["subject", &customer]);
    assert_eq!((about.len(), &about[0]["data"]["email"]), (10, &json!("[erased]")));
    database.is_unharmed().await;
    crate::catalogues::is_as_before(&database, "accounts").await;
}
