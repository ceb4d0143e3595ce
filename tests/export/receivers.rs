//! Receivers as they are: Splunk's collector as it behaves, OTLP by the protocol's own types, rsyslog.

use crate::endpoint::Endpoint;
use crate::{forward, record, stored};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tests::{Database, eventually, secret_file};
use uuid::Uuid;

/// The events of a collector's request, which are JSON documents one behind the other.
fn collected(text: &str) -> Vec<serde_json::Value> {
    serde_json::Deserializer::from_str(text).into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn splunk_has_events_once_its_indexers_acknowledge_them() {
    let database = Database::new().await;
    record(&database, 30).await;
    // As the collector behaves: it answers 200 before it has indexed, loses what it had not indexed, and is asked.
    let (next, lost) = (AtomicU64::new(0), Mutex::new(HashSet::from([0_u64])));
    let asked = AtomicU64::new(0);
    let endpoint = Endpoint::start(move |request| {
        let channel = request.headers.get("x-splunk-request-channel")?;
        Uuid::parse_str(channel).ok()?;
        if request.headers.get("authorization")? != "Splunk abc" {
            return Some((403, "", br#"{"text":"Invalid token","code":4}"#.to_vec()));
        }
        if request.path.starts_with("/services/collector/ack?channel=") {
            let acks: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let id = acks["acks"][0].as_u64().unwrap();
            if lost.lock().unwrap().remove(&id) {
                return None;
            }
            // The first answer to each is no.
            let done = asked.fetch_add(1, Ordering::Relaxed) % 2 == 1;
            return Some((200, "", format!("{{\"acks\":{{\"{id}\":{done}}}}}").into_bytes()));
        }
        let id = next.fetch_add(1, Ordering::Relaxed);
        Some((200, "", format!("{{\"text\":\"Success\",\"code\":0,\"ackId\":{id}}}").into_bytes()))
    })
    .await;
    let token = secret_file(database.journals.path(), "token", "abc");
    let to = format!("splunk+http://127.0.0.1:{}", endpoint.port);
    let arguments = ["forward", "--to", &to, "--from", "beginning", "--token", &token, "--index", "main"];
    let running = crate::Running::start(&database, &arguments);
    eventually("it is acknowledged", async || {
        database.count("SELECT coalesce(sum(sent), 0)::bigint FROM audit_feeds").await == 30
    })
    .await;
    assert_eq!(running.terminate(), 0);
    let sent: Vec<_> = endpoint
        .requests()
        .iter()
        .filter(|request| request.path == "/services/collector/event")
        .flat_map(|request| collected(&request.text()))
        .collect();
    assert_eq!(sent.len(), 60, "those that were not acknowledged came again");
    let found: HashSet<Uuid> =
        sent.iter().map(|event| event["fields"]["event_id"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(found, stored(&database).await.into_iter().collect());
    assert_eq!((sent[0]["index"].as_str(), sent[0]["sourcetype"].as_str()), (Some("main"), Some("audit:ndjson")));
    assert_eq!(sent[0]["event"]["event_type"], "order.recorded");
    let digests = sent.iter().filter(|event| event["fields"]["leaf"].as_str().is_some_and(|leaf| leaf.len() == 64));
    assert_eq!(digests.count(), sent.len());
}

#[tokio::test]
async fn splunk_without_acknowledgement_is_no_custodian() {
    let database = Database::new().await;
    record(&database, 2).await;
    let endpoint = Endpoint::start(|_| Some((200, "", br#"{"text":"Success","code":0}"#.to_vec()))).await;
    let token = secret_file(database.journals.path(), "token", "abc");
    let to = format!("splunk+http://127.0.0.1:{}", endpoint.port);
    let (code, text) = forward(&database, &to, &["--token", &token]);
    assert!(code == 1 && text.contains("useACK") && text.contains("--no-ack"), "{text}");
    assert_eq!(forward(&database, &to, &["--token", &token, "--no-ack"]).0, 0);
}

#[tokio::test]
async fn splunk_names_the_event_that_it_refuses() {
    let database = Database::new().await;
    record(&database, 10).await;
    let refused = stored(&database).await[4].to_string();
    let endpoint = Endpoint::start(move |request| {
        let events = collected(&request.text());
        match events.iter().position(|event| event["fields"]["event_id"] == refused.as_str()) {
            Some(at) => Some((
                400,
                "",
                format!("{{\"text\":\"Invalid data format\",\"code\":6,\"invalid-event-number\":{at}}}").into_bytes(),
            )),
            None => Some((200, "", Vec::new())),
        }
    })
    .await;
    let token = secret_file(database.journals.path(), "token", "abc");
    let to = format!("splunk+http://127.0.0.1:{}", endpoint.port);
    let (code, text) = forward(&database, &to, &["--token", &token, "--no-ack"]);
    assert!(code == 1 && text.contains("9 events sent, 1 event set aside"), "{text}");
    assert!(endpoint.requests().len() <= 4, "around the one that it names: {}", endpoint.requests().len());
}

#[tokio::test]
async fn otlp_records_have_every_field_and_partial_success_is_heeded() {
    let database = Database::new().await;
    crate::call(&database, || {
        let _ = crate::submit(7, 199.399_999_999_999_98);
        let _ = crate::submit(8, 2_000.0);
    })
    .await;
    record(&database, 3).await;
    let refused = stored(&database).await[0].to_string();
    let id = |record: &opentelemetry_proto::tonic::logs::v1::LogRecord| text_of(record, "audit.id");
    let endpoint = Endpoint::start(move |request| {
        let request = ExportLogsServiceRequest::decode(&*request.body).unwrap();
        let records: Vec<_> =
            request.resource_logs.iter().flat_map(|logs| &logs.scope_logs).flat_map(|logs| &logs.log_records).collect();
        let rejected = records.iter().filter(|record| id(record) == refused).count();
        let partial = ExportLogsPartialSuccess { rejected_log_records: rejected as i64, error_message: "odd".into() };
        Some((200, "", ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()))
    })
    .await;
    let (code, text) = forward(&database, &format!("otlp+http://127.0.0.1:{}", endpoint.port), &[]);
    assert!(code == 1 && text.contains("4 events sent, 1 event set aside") && text.contains("odd"), "{text}");
    let requests = endpoint.requests();
    assert_eq!(
        (requests[0].path.as_str(), requests[0].headers["content-type"].as_str()),
        ("/v1/logs", "application/x-protobuf")
    );
    let request = ExportLogsServiceRequest::decode(&*requests[0].body).unwrap();
    let resource = request.resource_logs[0].resource.as_ref().unwrap();
    assert!(resource.attributes.iter().any(|pair| pair.key == "service.name"));
    let records = &request.resource_logs[0].scope_logs[0].log_records;
    let failed = records.iter().find(|record| text_of(record, "audit.outcome") == "error").unwrap();
    assert_eq!((failed.event_name.as_str(), failed.severity_text.as_str()), ("order.submitted", "WARN"));
    let good = records.iter().find(|record| text_of(record, "audit.data").contains("199.39999999999998")).unwrap();
    assert_eq!(text_of(good, "audit.entity.key"), "7");
    assert_eq!(text_of(good, "audit.tenant"), "acme");
    assert_eq!(text_of(good, "audit.leaf").len(), 64);
    assert!(good.time_unix_nano > 1_700_000_000_000_000_000);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let database = Database::new().await;
    record(&database, 1).await;
    let endpoint = Endpoint::start(|_| Some((200, "", vec![b' '; 64 << 20]))).await;
    let token = secret_file(database.journals.path(), "token", "abc");
    for kind in ["otlp", "splunk"] {
        let to = format!("{kind}+http://127.0.0.1:{}", endpoint.port);
        let (code, text) = forward(&database, &to, &["--token", &token]);
        assert!(code == 1 && text.contains("longer than 1 MiB"), "{kind}: {text}");
    }
}

fn text_of(record: &opentelemetry_proto::tonic::logs::v1::LogRecord, key: &str) -> String {
    let pair = record.attributes.iter().find(|pair| pair.key == key);
    match pair.and_then(|pair| pair.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// Debian's rsyslog, which writes messages to a file. It ends with the test.
struct Rsyslog {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Rsyslog {
    /// Starts one with a certificate of its own, if it is installed.
    fn start() -> Option<Self> {
        let program = ["/usr/sbin/rsyslogd", "/sbin/rsyslogd"].iter().map(PathBuf::from).find(|path| path.exists());
        let has_tls = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"]
            .iter()
            .any(|directory| PathBuf::from(directory).join("rsyslog/lmnsd_gtls.so").exists());
        let Some(program) = program.filter(|_| has_tls) else {
            eprintln!("LEFT OUT: there is no rsyslog with rsyslog-gnutls here");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = format!(
            "global(workDirectory=\"{0}\" maxMessageSize=\"256k\" defaultNetstreamDriverCAFile=\"{0}/cert.pem\" \
             defaultNetstreamDriverCertFile=\"{0}/cert.pem\" defaultNetstreamDriverKeyFile=\"{0}/key.pem\")\n\
             module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\n\
             template(name=\"all\" type=\"string\" string=\"%pri%\\t%protocol-version%\\t%timereported:::date-rfc3339%\\t%hostname%\\t%app-name%\\t%procid%\\t%msgid%\\t%msg%\\n\")\n\
             input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\naction(type=\"omfile\" file=\"{0}/received\" template=\"all\" flushInterval=\"1\" flushOnTXEnd=\"on\")\n",
            directory.path().display()
        );
        std::fs::write(path("rsyslog.conf"), configuration).unwrap();
        let mut rsyslog = Self { child: Command::new("true").spawn().unwrap(), port, directory };
        rsyslog.child.wait().unwrap();
        rsyslog.run(&program);
        Some(rsyslog)
    }

    fn run(&mut self, program: &std::path::Path) {
        let path = |name: &str| self.directory.path().join(name);
        self.child = Command::new(program)
            .args(["-n", "-f"])
            .arg(path("rsyslog.conf"))
            .arg("-i")
            .arg(path("pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tests::wait::until("rsyslog listens", || std::net::TcpStream::connect(("127.0.0.1", self.port)).ok().map(drop));
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn received(&self) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(self.directory.path().join("received")).unwrap_or_default();
        let fields = |line: &str| line.splitn(8, '\t').map(str::to_owned).collect::<Vec<_>>();
        // The last line may be written in part.
        text.lines().map(fields).filter(|fields| fields.len() == 8).collect()
    }
}

#[tokio::test]
async fn rsyslog_receives_rfc_5424_over_tls() {
    let Some(mut rsyslog) = Rsyslog::start() else { return };
    let database = Database::new().await;
    crate::call(&database, || {
        let _ = crate::submit(7, 10.0);
        let _ = crate::submit(8, 2_000.0);
    })
    .await;
    let ca = rsyslog.directory.path().join("cert.pem");
    let to = format!("syslog+tls://localhost:{}", rsyslog.port);
    let arguments = ["forward", "--to", &to, "--from", "beginning", "--ca", ca.to_str().unwrap(), "--form", "ndjson"];
    let running = crate::Running::start(&database, &arguments);
    eventually("both are received", async || rsyslog.received().len() >= 2).await;
    let received = rsyslog.received();
    let failed = received.iter().find(|fields| fields[7].contains("too dear")).unwrap();
    assert_eq!(failed[0], "108", "the facility of log audits, and a warning");
    assert_eq!((failed[1].as_str(), failed[4].as_str(), failed[6].as_str()), ("1", "test", "order.submitted"));
    let event: serde_json::Value = serde_json::from_str(failed[7].trim()).unwrap();
    assert_eq!(event["entity_key"], "8");
    // A receiver that is killed gets what comes later, and what it may have lost.
    rsyslog.kill();
    record(&database, 20).await;
    rsyslog.run(std::path::Path::new("/usr/sbin/rsyslogd"));
    let all: HashSet<String> = stored(&database).await.iter().map(Uuid::to_string).collect();
    eventually("all are received", async || {
        let ids = rsyslog.received();
        let ids: HashSet<String> = ids
            .iter()
            .filter_map(|fields| serde_json::from_str::<serde_json::Value>(fields[7].trim()).ok())
            .map(|event| event["id"].as_str().unwrap().to_owned())
            .collect();
        ids == all
    })
    .await;
    assert_eq!(running.terminate(), 0);
}
