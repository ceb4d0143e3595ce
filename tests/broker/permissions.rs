//! deploy/nats/nats.conf: TLS, an NKey for each service, and no way to speak for another.

use crate::scene::{Taking, service};
use crate::way::job;
use async_nats::ConnectOptions;
use async_nats::jetstream;
use audit_runtime::relay::Relay;
use audit_runtime::{Event, Nats};
use nkeys::KeyPair;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tests::nats::small_stream;
use tests::{Database, NatsServer, eventually};

const MAX_PAYLOAD: usize = 4 << 20;

/// A server of that file, and the seeds of its users.
struct Guarded {
    server: NatsServer,
    files: TempDir,
    ca: PathBuf,
}

impl Guarded {
    fn start() -> Option<Self> {
        let files = tempfile::Builder::new().prefix("audit-keys-").tempdir().unwrap();
        std::fs::set_permissions(files.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let write = |name: &str, text: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let ca = write("cert.pem", &certified.cert.pem());
        let key = write("key.pem", &certified.signing_key.serialize_pem());
        let mut variables = vec![("NATS_CERT", ca.display().to_string()), ("NATS_KEY", key.display().to_string())];
        for (variable, name) in [
            ("BROKER_NKEY", "broker"),
            ("PAYMENTS_NKEY", "payments"),
            ("SHIPPER_NKEY", "shipper"),
            ("RELAY_NKEY", "relay"),
            ("ADMIN_NKEY", "admin"),
        ] {
            let pair = KeyPair::new_user();
            write(name, &pair.seed().unwrap());
            variables.push((variable, pair.public_key()));
        }
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nats/nats.conf");
        let server = NatsServer::with_file(&file, &variables)?;
        Some(Self { server, files, ca })
    }

    fn seed(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn nats(&self, name: &str) -> Nats {
        Nats::new(self.server.tls_url()).nkey(self.seed(name)).root_certificates(&self.ca).max_payload(MAX_PAYLOAD)
    }

    async fn client(&self, name: &str, inbox: &str) -> async_nats::Client {
        let seed = std::fs::read_to_string(self.seed(name)).unwrap();
        let options = ConnectOptions::with_nkey(seed).add_root_certificates(self.ca.clone());
        options.custom_inbox_prefix(format!("_INBOX.{inbox}")).connect(self.server.tls_url()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_publishes_for_itself_alone() {
    let Some(guarded) = Guarded::start() else { return };
    Relay::set_up(&guarded.nats("admin"), &small_stream()).await.unwrap();
    let database = Database::new().await;
    let relay = Taking::start(&database.url, &guarded.nats("relay"));
    let audit = service(&guarded.nats("broker"), database.journals.path()).start().unwrap();
    audit.record(Event::new("order.submitted")).unwrap();
    let working = tokio::spawn(audit.scope(job()));
    eventually("the intent is stored", || async { database.events_of("job.done").await == 1 }).await;
    audit.flush().await.unwrap();
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    working.abort();
    eventually("the relay may record its interruption", || async { database.events().await == 3 }).await;

    // Another service knows the subject, and neither sends to it nor hears what is for its owner.
    let stream = jetstream::new(guarded.client("admin", "audit-relay").await).get_stream("AUDIT").await.unwrap();
    let messages = async || stream.get_info().await.unwrap().state.messages;
    let before = messages().await;
    let payments = guarded.client("payments", "payments").await;
    for subject in
        ["audit.batch.broker.x", "audit.made.x", "audit.ask.broker", "$JS.API.STREAM.PURGE.AUDIT", "_INBOX.broker.x"]
    {
        payments.publish(subject, "x".into()).await.unwrap();
    }
    let _listening = payments.subscribe("_INBOX.broker.>").await.unwrap();
    payments.flush().await.unwrap();
    let refused = || {
        let log = guarded.server.log();
        log.matches("Publish Violation").count() == 5 && log.matches("Subscription Violation").count() == 1
    };
    eventually("the server refuses all of it", async || refused()).await;
    assert_eq!(messages().await, before);
    relay.end().await;
}

#[tokio::test]
async fn a_key_that_the_server_does_not_know_is_refused() {
    let Some(guarded) = Guarded::start() else { return };
    let stranger = guarded.files.path().join("stranger");
    std::fs::write(&stranger, KeyPair::new_user().seed().unwrap()).unwrap();
    let nats =
        Nats::new(guarded.server.tls_url()).nkey(&stranger).root_certificates(&guarded.ca).max_payload(MAX_PAYLOAD);
    let error = Relay::set_up(&nats, &small_stream()).await.unwrap_err().to_string();
    assert!(error.contains("NATS cannot be reached") && error.to_lowercase().contains("authorization"), "{error}");
    let missing = guarded.nats("no-such-file");
    let error = Relay::set_up(&missing, &small_stream()).await.unwrap_err().to_string();
    assert!(error.contains("no-such-file cannot be read"), "{error}");
}
