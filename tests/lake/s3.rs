//! A lake on S3: the server is that of `s3s-fs`, over a directory.

use crate::scene::{Lake, Ran, command, ran, report};
use crate::trail::Scene;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The method, the URI and the headers of a request.
type Seen = Arc<Mutex<Vec<(String, String, HashMap<String, String>)>>>;

/// A server with one bucket.
pub struct Server {
    pub endpoint: String,
    pub directory: TempDir,
    pub seen: Seen,
    task: tokio::task::JoinHandle<()>,
}

const BUCKET: &str = "trail";

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(directory.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single("key", "secret"));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Seen::default();
        let log = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let (service, log) = (service.clone(), log.clone());
                let answer = service_fn(move |request: http::Request<Incoming>| {
                    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
                    let headers =
                        request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
                    log.lock().unwrap().push((request.method().to_string(), request.uri().to_string(), headers));
                    hyper::service::Service::call(&service, request)
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), answer));
            }
        });
        Self { endpoint, directory, seen, task }
    }

    /// Where a lake's files are on the server's disk.
    pub fn path(&self, prefix: &str) -> PathBuf {
        self.directory.path().join(BUCKET).join(prefix)
    }

    /// Runs the command with credentials.
    pub async fn run(&self, url: Option<&str>, arguments: &[&str]) -> Ran {
        self.run_as("secret", url, arguments).await
    }

    async fn run_as(&self, secret: &str, url: Option<&str>, arguments: &[&str]) -> Ran {
        let mut command = command(url, arguments);
        command.env("AWS_ENDPOINT_URL", &self.endpoint).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", secret);
        tokio::task::spawn_blocking(|| ran(command)).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_on_s3_is_synced_once_verified_asked_and_proven() {
    let server = Server::start().await;
    let lake = Lake::of(Scene::new(71).await);
    let url = Some(lake.database().url.as_str());
    let bucket = "s3://trail/desk/2026";
    let sync = ["lake", "sync", bucket, "--key", &lake.key, "--segment", "50"];
    server.run(url, &sync).await.well();
    assert!(server.path("desk/2026/manifest").is_dir());
    assert!(server.run(url, &sync).await.well().stdout.contains("nothing is new"));
    let created = server.seen.lock().unwrap().iter().any(|(method, uri, headers)| {
        method == "PUT" && uri.contains("/manifest/") && headers.get("if-none-match").map(String::as_str) == Some("*")
    });
    assert!(created, "a manifest is put on a condition");
    let public = lake.public();
    let verify = ["verify", "--lake", bucket, "--public-key", &public, "--json"];
    let verified = server.run(None, &verify).await.well();
    assert_eq!(report(&verified)["rows"], lake.database().events().await);
    let (kind, key): (String, String) = sqlx::query_as(
        "SELECT entity_type, entity_id::text FROM audit_events WHERE entity_id IS NOT NULL AND entity_key IS NULL LIMIT 1",
    )
    .fetch_one(&lake.database().pool)
    .await
    .unwrap();
    let entity = ["entity", &kind, &key, "--output", "ndjson"];
    let hot = server.run(url, &entity).await.well().stdout;
    crate::trail::as_superuser(&lake.database().pool, "DELETE FROM audit_events").await;
    let cold = server.run(url, &[&entity[..], &["--lake", bucket]].concat()).await.well().stdout;
    assert_eq!(cold, hot);
    let id = serde_json::from_str::<serde_json::Value>(hot.lines().next().unwrap()).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(server.run(None, &["proof", &id, "--lake", bucket]).await.well().stdout.contains(&id));
    // The same files are a lake in a directory.
    let directory = server.path("desk/2026");
    crate::scene::verify(directory.to_str().unwrap(), &public, &[]).well();
    // Wrong credentials, and nobody there.
    let refused = server.run_as("wrong", None, &verify).await;
    assert!(refused.code == 1 && refused.stderr.contains("credentials"), "{} {}", refused.code, refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_locked_by_signed_headers() {
    let server = Server::start().await;
    let lake = Lake::of(Scene::new(72).await);
    let url = Some(lake.database().url.as_str());
    let sync =
        ["lake", "sync", "s3://trail/locked", "--key", &lake.key, "--lock-days", "30", "--lock-mode", "compliance"];
    server.run(url, &sync).await.well();
    let seen = server.seen.lock().unwrap().clone();
    let puts: Vec<_> = seen.iter().filter(|(method, ..)| method == "PUT").collect();
    assert!(puts.len() > 3, "{seen:#?}");
    for (_, uri, headers) in puts {
        let header = |name: &str| headers.get(name).map_or("", String::as_str);
        assert_eq!(header("x-amz-object-lock-mode"), "COMPLIANCE", "{uri}");
        let until: chrono::DateTime<chrono::Utc> = header("x-amz-object-lock-retain-until-date").parse().unwrap();
        let days = (until - chrono::Utc::now()).num_hours() / 24;
        assert!((29..=30).contains(&days), "{until}");
        let signed = header("authorization");
        assert!(signed.contains("x-amz-object-lock-mode;x-amz-object-lock-retain-until-date"), "{signed}");
        assert!(!header("x-amz-checksum-sha256").is_empty(), "{headers:#?}");
    }
    server.run(None, &["verify", "--lake", "s3://trail/locked", "--public-key", &lake.public()]).await.well();
    // A server elsewhere is not asked without encryption.
    let mut far = command(None, &["verify", "--lake", "s3://trail/locked"]);
    far.env("AWS_ENDPOINT_URL", "http://192.0.2.1:9").env("AWS_REGION", "us-east-1");
    far.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
    let far = tokio::task::spawn_blocking(|| ran(far)).await.unwrap();
    assert!(far.code != 0, "{}", far.stdout);
}
