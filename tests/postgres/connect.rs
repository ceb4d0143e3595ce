//! Ways to reach a server: TLS where it is demanded, Unix sockets, `PG*` variables, rotating
//! credentials.

use audit_runtime::{Audit, Event};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tests::cluster::give_away;
use tests::{Cluster, Config, Database, eventually};

fn start(options: impl audit_runtime::IntoConnectOptions) -> Audit {
    Audit::builder().postgres(options).memory().segment_bytes(1 << 20).start().unwrap()
}

async fn records_one(audit: &Audit) {
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

/// A certificate authority, and a certificate of it for 127.0.0.1 in the server's data directory.
fn certify(data: &Path, authority: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    std::fs::write(authority, root.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    for (file, pem) in [("server.crt", server.pem()), ("server.key", key.serialize_pem())] {
        std::fs::write(data.join(file), pem).unwrap();
        give_away(&data.join(file));
    }
}

#[tokio::test]
async fn a_server_that_demands_tls_gets_it_and_is_verified() {
    let files = tempfile::tempdir().unwrap();
    let authority = files.path().join("ca.pem");
    let config =
        Config { settings: "ssl = on", hba: Some("local all all trust\nhostssl all all 127.0.0.1/32 trust\n") };
    let cluster = Cluster::prepare(config, |data| certify(data, &authority)).run();
    let database = Database::migrated_in(&cluster).await;

    let verified = format!("{}?sslmode=verify-full&sslrootcert={}", database.url, authority.display());
    let audit = start(verified.as_str());
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'audit-runtime' AND ssl";
    assert_eq!(database.count(encrypted).await, 1);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();

    // Without TLS the server refuses, and we refuse a certificate that nobody vouches for.
    for (refused, why) in [("disable", "no encryption"), ("verify-full", "certificate")] {
        let audit = start(format!("{}?sslmode={refused}", database.url));
        audit.record(Event::new("order.accepted")).unwrap();
        eventually("a refusal is told", || async {
            audit.stats().last_error.is_some_and(|error| error.to_lowercase().contains(why))
        })
        .await;
        let report = audit.shutdown(Duration::ZERO).await.unwrap();
        assert_eq!((report.stored, report.left_in_journal), (0, 1));
    }
}

#[tokio::test]
async fn a_unix_socket_works() {
    let database = Database::new().await;
    let options: PgConnectOptions = database.url.parse().unwrap();
    let cluster = Cluster::shared();
    records_one(&start(options.socket(cluster.socket()).ssl_mode(PgSslMode::Disable))).await;
    let url = format!(
        "postgres:///{}?host={}&port={}&user=postgres",
        database.url.rsplit('/').next().unwrap(),
        cluster.socket().display(),
        cluster.port()
    );
    records_one(&start(url)).await;
    assert_eq!(database.events().await, 2);
}

const CHILD: &str = "AUDIT_TEST_PG_VARIABLES";

#[tokio::test]
async fn pg_variables_are_honoured() {
    // Variables belong to a process: the test runs itself again, with them.
    if std::env::var_os(CHILD).is_some() {
        records_one(&start(PgConnectOptions::new())).await;
        records_one(&start("postgres://")).await;
        return;
    }
    let database = Database::new().await;
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "connect::pg_variables_are_honoured"])
        .env(CHILD, "1")
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", Cluster::shared().port().to_string())
        .env("PGUSER", "postgres")
        .env("PGDATABASE", database.url.rsplit('/').next().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(database.events().await, 2);
}

#[tokio::test]
async fn a_function_is_asked_at_every_connect() {
    let database = Database::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let valid = Arc::new(AtomicBool::new(false));
    let (url, count, ready) = (database.url.clone(), asked.clone(), valid.clone());
    let audit = start(move || {
        count.fetch_add(1, Ordering::Relaxed);
        if ready.load(Ordering::Relaxed) { url.clone() } else { url.replace("postgres@", "nobody@") }
    });
    let receipt = audit.record(Event::new("order.accepted")).unwrap();
    eventually("it is asked again", || async { asked.load(Ordering::Relaxed) >= 2 }).await;
    valid.store(true, Ordering::Relaxed);
    receipt.stored().await.unwrap();
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}
