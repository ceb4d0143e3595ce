//! The rights of each user.

use crate::scene::{accounts, ids, key};
use crate::server::{Page, sent};
use reqwest::StatusCode;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use tests::Database;
use tests::examples::audit_trail;

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// An access file with an auditor, one of a tenant, one of a type, and a proxy on this machine.
fn access(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("access.toml");
    let text = format!(
        "[[user]]\nname = \"ada\"\ntoken_sha256 = \"{}\"\nroles = [\"view\", \"export\", \"reveal\"]\n\
         [[user]]\nname = \"tim\"\ntoken_sha256 = \"{}\"\nroles = [\"view\", \"export\"]\ntenants = [\"acme\"]\n\
         [[user]]\nname = \"vic\"\ntoken_sha256 = \"{}\"\nroles = [\"view\"]\nentity_types = [\"invoice\"]\n\
         [header]\nname = \"X-Forwarded-User\"\npeers = [\"10.9.9.9\"]\nroles = [\"view\"]\n",
        hash("ada's"),
        hash("tim's"),
        hash("vic's"),
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn with_access(database: &Database, directory: &TempDir) -> Page {
    Page::start(database, &["--access", access(directory).to_str().unwrap()])
}

#[tokio::test]
async fn a_token_shows_its_users_part_of_the_trail_whatever_is_asked() {
    let database = accounts(40, &key()).await;
    let directory = tempfile::tempdir().unwrap();
    let page = with_access(&database, &directory);
    let get = async |token: &str, path: &str| sent(page.request(path).bearer_auth(token)).await;
    let ids = ids(&database).await;
    let (of_acme, of_globex) = (ids[0], ids[1]);
    let count = async |token: &str, path: &str| {
        let answer = get(token, path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        let list: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
        list["events"].as_array().unwrap().len()
    };
    assert_eq!(get("", "/events.json").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(get("ada", "/events.json").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(count("ada's", "/events.json").await, 40);
    assert_eq!(count("vic's", "/events.json").await, 0);
    for (path, expected) in [
        ("/events.json", 20),
        ("/events.json?tenant=globex", 0),
        ("/events.json?tenant=acme&tenant=globex", 0),
        ("/tenant/globex.json", 0),
        ("/entity/invoice/INV-1.json", 0),
        ("/entity/invoice/INV-2.json", 1),
        ("/events.json?find=INV-1", 5),
        ("/events.json?find=globex", 0),
        ("/events.json?own=1", 20),
        ("/events.json?event=audit.viewed", 0),
    ] {
        // INV-10, INV-12, .. contain INV-1, and those of the tenant have even numbers.
        assert_eq!(count("tim's", path).await, expected, "{path}");
    }
    for path in
        [format!("/event/{of_globex}"), format!("/event/{of_globex}.json"), format!("/event/{of_globex}/proof.json")]
    {
        let answer = get("tim's", &path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!answer.text.contains("globex"), "{path}: {}", answer.text);
    }
    assert_eq!(get("tim's", &format!("/event/{of_acme}/proof.json")).await.status, StatusCode::OK);
    let exported = get("tim's", "/export.ndjson?tenant=globex").await;
    assert_eq!(exported.text.lines().count(), 1, "{}", exported.text);
    let exported = get("tim's", "/export.ndjson").await;
    assert!(exported.text.lines().count() == 21 && !exported.text.contains("globex"), "{}", exported.text);
    let html = get("tim's", "/?count=1").await.text;
    assert!(!html.contains("globex") && html.contains("<strong>20</strong> events by the time"), "{html}");
    for path in ["/batches", "/checkpoints", "/checkpoint/1", "/status", "/status.json", "/catalogue"] {
        assert_eq!(get("tim's", path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(get("vic's", "/export.csv").await.status, StatusCode::FORBIDDEN);
    let batch: uuid::Uuid = sqlx::query_scalar("SELECT id FROM audit_batches ORDER BY created_at LIMIT 1")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(get("tim's", &format!("/batch/{batch}")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(count("tim's", &format!("/events.json?batch={batch}")).await, 20);
    let actors = "SELECT count(DISTINCT actor) FROM audit_events WHERE event_type = 'audit.viewed'";
    assert_eq!(database.count(actors).await, 3);
}

#[tokio::test]
async fn a_header_counts_from_a_named_peer_or_a_socket_alone() {
    let database = accounts(2, &key()).await;
    let directory = tempfile::tempdir().unwrap();
    let page = with_access(&database, &directory);
    let forged = page.request("/events.json").header("x-forwarded-user", "ada").header("x-forwarded-for", "10.9.9.9");
    assert_eq!(sent(forged).await.status, StatusCode::UNAUTHORIZED);
    // A socket needs no peers. curl is at hand, and reqwest has no sockets in this configuration.
    let socket = directory.path().join("page.sock");
    let file = access(&directory);
    let mut server = Command::new(audit_trail())
        .args(["serve", "--socket", socket.to_str().unwrap(), "--access", file.to_str().unwrap()])
        .env("DATABASE_URL", &database.url)
        .spawn()
        .unwrap();
    tests::wait::until("the socket answers", || std::os::unix::net::UnixStream::connect(&socket).ok());
    let asked = async |header: &str| {
        let stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
        let request = format!("GET /events.json HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n");
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = stream;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    assert!(asked("").await.starts_with("HTTP/1.1 401"));
    assert!(asked("X-Forwarded-User: ada\r\n").await.starts_with("HTTP/1.1 200"));
    assert!(asked("X-Forwarded-User: ada\r\nX-Forwarded-User: tim\r\n").await.starts_with("HTTP/1.1 403"));
    assert!(asked("X-Forwarded-User: nobody in particular\r\n").await.starts_with("HTTP/1.1 200"));
    let id = rustix::process::Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_login_is_a_form_of_this_site_and_a_strict_cookie() {
    let database = accounts(2, &key()).await;
    let directory = tempfile::tempdir().unwrap();
    let page = with_access(&database, &directory);
    let browser = page.request("/status?tz=UTC").header("accept", "text/html,*/*");
    let answer = sent(browser).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/login?to=%2Fstatus%3Ftz%3DUTC"));
    assert!(page.page("/login").await.contains("type=\"password\""));
    let wrong = sent(page.form("/login", "token=ada&to=%2F")).await;
    assert!(wrong.status == StatusCode::UNAUTHORIZED && wrong.headers.get("set-cookie").is_none(), "{wrong:?}");
    for (origin, site) in
        [("https://evil.example", "same-origin"), ("null", "cross-site"), ("null", "same-site"), ("", "same-origin")]
    {
        let mut request = page.form("/login", "token=ada%27s").build().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        request.headers_mut().insert("sec-fetch-site", site.parse().unwrap());
        let answer = reqwest::Client::new().execute(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{origin}");
    }
    let answer = sent(page.form("/login", "token=ada%27s&to=%2Fstatus")).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/status"));
    let cookie = answer.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-audit-trail="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{cookie}");
    let session = cookie.split(';').next().unwrap().to_owned();
    let with_cookie = || page.request("/status").header("cookie", format!("a=b; {session}"));
    assert!(sent(with_cookie()).await.text.contains("Log out"));
    let logged_out = sent(page.form("/logout", "").header("cookie", &session)).await;
    assert_eq!(logged_out.status, StatusCode::SEE_OTHER);
    assert_eq!(sent(with_cookie()).await.status, StatusCode::UNAUTHORIZED);
    let large = sent(page.form("/login", &format!("token={}", "x".repeat(10_000)))).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", large.text);
}

#[tokio::test]
async fn an_address_that_others_reach_needs_an_access_file() {
    let database = Database::new().await;
    let run = |arguments: &[&str]| {
        let output = Command::new(audit_trail())
            .arg("serve")
            .args(arguments)
            .env("DATABASE_URL", &database.url)
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for address in ["0.0.0.0:0", "[::]:0", "10.0.0.1:0"] {
        let (code, words) = run(&["--listen", address]);
        assert!(code == 2 && words.contains("--access FILE"), "{address}: {words}");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("access.toml");
    std::fs::write(&file, "[header]\nname = \"X-User\"\nroles = [\"view\"]\n").unwrap();
    let (code, words) = run(&["--access", file.to_str().unwrap()]);
    assert!(code == 2 && words.contains("nobody can come"), "{words}");
    let (code, words) = run(&["--access", "/nowhere.toml"]);
    assert!(code == 2 && words.contains("cannot use the access file"), "{words}");
}

#[tokio::test]
async fn a_new_token_and_its_lines_work_together() {
    let database = accounts(2, &key()).await;
    let output = Command::new(audit_trail()).args(["serve", "--new-token", "eve \"x\""]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let token = text.lines().next().unwrap().strip_prefix("token: ").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("access.toml");
    std::fs::write(&file, &text[text.find("[[user]]").unwrap()..]).unwrap();
    let page = Page::start(&database, &["--access", file.to_str().unwrap()]);
    let answer = sent(page.request("/").bearer_auth(token)).await;
    assert!(answer.status == StatusCode::OK && answer.text.contains("eve &quot;x&quot;"), "{}", answer.text);
}

#[tokio::test]
async fn on_loopback_another_host_name_is_refused() {
    let database = accounts(2, &key()).await;
    let page = Page::start(&database, &[]);
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("localhost.evil.example:80", 421),
    ] {
        assert_eq!(sent(page.request("/").header("host", host)).await.status.as_u16(), status, "{host}");
    }
}

#[tokio::test]
async fn requests_are_limited_for_each_user() {
    let database = accounts(1, &key()).await;
    let page = Page::start(&database, &["--requests-per-second", "2"]);
    let answers = futures_util::future::join_all((0..40).map(|_| page.answer("/nothing"))).await;
    let limited: Vec<_> = answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert!(limited.len() >= 20 && limited.len() < 40, "{}", limited.len());
    assert_eq!(limited[0].header("retry-after"), "1");
}

#[tokio::test]
async fn a_session_of_the_server_reads_alone() {
    let database = accounts(1, &key()).await;
    let page = Page::start(&database, &[]);
    page.page("/").await;
    let settings =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'audit-trail' AND datname = current_database()";
    assert!(database.count(settings).await > 0);
    // A trigger that writes on SELECT does not exist, so a function in a view stands for it.
    let sql = "CREATE TABLE written (n int); CREATE FUNCTION write() RETURNS bigint LANGUAGE sql AS 'INSERT INTO written VALUES (1); SELECT 1::bigint'; \
               ALTER TABLE audit_checkpoints RENAME TO kept; \
               CREATE VIEW audit_checkpoints AS SELECT id, created_at, tree_size + write() - 1 AS tree_size, note, frontier FROM kept";
    sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
    let answer = page.answer("/checkpoints").await;
    assert!(answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.text.contains("read-only"), "{}", answer.text);
}
