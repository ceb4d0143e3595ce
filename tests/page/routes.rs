//! Each route of the served document, under the guards that no route may lack.

use crate::scene::{at, key, record};
use crate::server::{Answer, Page, sent};
use audit_runtime::{Context, Event};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::path::Path;
use tests::Database;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

/// The words that only one tenant's events contain.
const SECRET: &str = "of-globex-alone";
/// The request of all events.
const REQUEST: Uuid = Uuid::from_u128(0x7000_8000_0000_0000_00cc);

/// Events of two tenants, by one actor about one account in one request; and the ids of those of
/// the second one.
async fn two_tenants() -> (Database, Vec<Uuid>) {
    let database = Database::new().await;
    let key = key();
    record(&database, |audit| {
        // In one request, which both tenants' events belong to.
        let _entered = Context::new().correlation(REQUEST).enter();
        for number in 0..20 {
            let (tenant, words) = if number % 2 == 0 { ("acme", "of-acme") } else { ("globex", SECRET) };
            let event = Event::new("account.credited").entity("account", 42).target("invoice", words).tenant(tenant);
            audit.record_at(event.actor("user:ada").data(&json!({"note": words})), at(number)).unwrap();
        }
    })
    .await;
    database.admin().checkpoint(&key).await.unwrap();
    let ids = "SELECT id FROM audit_events WHERE tenant = 'globex' ORDER BY id";
    let ids = sqlx::query_scalar(ids).fetch_all(&database.pool).await.unwrap();
    (database, ids)
}

/// The paths of the served document, about one event and what it names.
async fn paths(page: &Page, token: &str, database: &Database, id: Uuid) -> Vec<String> {
    let answer = sent(page.request("/openapi.json").bearer_auth(token)).await;
    let document: Value = serde_json::from_str(&answer.text).unwrap();
    let sql = "SELECT batch_id FROM audit_events WHERE id = $1";
    let batch: Uuid = sqlx::query_scalar(sql).bind(id).fetch_one(&database.pool).await.unwrap();
    let filled = |path: &String| {
        let id = match path.split('/').nth(1).unwrap() {
            "event" => id.to_string(),
            "batch" => batch.to_string(),
            "correlation" => REQUEST.to_string(),
            "checkpoint" => "1".into(),
            "actor" => "user:ada".into(),
            "tenant" => "globex".into(),
            _ => "none".into(),
        };
        path.replace("{id}", &id).replace("{type}", "account").replace("{key}", "42")
    };
    let mut paths: Vec<String> = document["paths"].as_object().unwrap().keys().map(filled).collect();
    assert!(paths.len() >= 15, "{paths:?}");
    // Those that the document lacks, being for browsers.
    paths.extend(["/".into(), "/tail".into(), format!("/event/{id}/reveal?reason=support+case")]);
    let pages: Vec<String> = paths.iter().filter_map(|path| path.strip_suffix(".json")).map(str::to_owned).collect();
    paths.extend(pages.into_iter().filter(|path| !path.ends_with("/proof")));
    paths
}

fn access(directory: &Path) -> String {
    let user = |name: &str, rest: &str| {
        let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(name.as_bytes()));
        format!("[[user]]\nname = \"{name}\"\ntoken_sha256 = \"{hash}\"\n{rest}\n")
    };
    let text = [
        user("all", "roles = [\"view\", \"export\", \"reveal\"]"),
        user("views", "roles = [\"view\"]"),
        user("exports", "roles = [\"export\", \"reveal\"]"),
        user("none", "roles = []"),
        user("acme", "roles = [\"view\", \"export\", \"reveal\"]\ntenants = [\"acme\"]"),
        user("invoices", "roles = [\"view\", \"export\", \"reveal\"]\nentity_types = [\"invoice\"]"),
    ];
    let file = directory.join("access.toml");
    std::fs::write(&file, text.concat()).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Asks for a path; of a tail the head alone, for it has no end.
async fn asked(page: &Page, token: &str, method: Method, path: &str) -> Answer {
    let request = page.client.request(method, format!("{}{path}", page.url));
    let request = if token.is_empty() { request } else { request.bearer_auth(token) };
    if path.starts_with("/tail") {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        return Answer { status, headers, text: String::new() };
    }
    sent(request).await
}

#[tokio::test]
async fn each_route_asks_who_looks_and_what_that_role_allows() {
    let (database, ids) = two_tenants().await;
    let directory = tempfile::tempdir().unwrap();
    let page = Page::start(&database, &["--access", &access(directory.path())]);
    for path in paths(&page, "all", &database, ids[0]).await {
        let status = async |token: &str| asked(&page, token, Method::GET, &path).await.status;
        assert_eq!(status("").await, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(status("nobody's").await, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(status("none").await, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(status("exports").await, StatusCode::FORBIDDEN, "{path}");
        let needs_more = path.starts_with("/export") || path.contains("/reveal");
        let expected = if needs_more { StatusCode::FORBIDDEN } else { StatusCode::OK };
        assert_eq!(status("views").await, expected, "{path}");
        // The server has no master key.
        let expected = if path.contains("/reveal") { StatusCode::FORBIDDEN } else { StatusCode::OK };
        assert_eq!(status("all").await, expected, "{path}");
        // No cache keeps a page of a person, whatever the answer is.
        for token in ["", "none", "all"] {
            let answer = asked(&page, token, Method::GET, &path).await;
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
    }
}

#[tokio::test]
async fn no_route_shows_a_tenants_user_what_is_another_ones() {
    let (database, ids) = two_tenants().await;
    let directory = tempfile::tempdir().unwrap();
    let page = Page::start(&database, &["--access", &access(directory.path())]);
    let own: Uuid = sqlx::query_scalar("SELECT id FROM audit_events WHERE tenant = 'acme' ORDER BY id LIMIT 1")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    let mut paths = paths(&page, "all", &database, ids[0]).await;
    // An event's page shows its request, which is another tenant's, too.
    paths.extend([format!("/event/{own}"), format!("/event/{own}.json"), format!("/event/{own}/proof.json")]);
    paths.retain(|path| !path.starts_with("/tail"));
    let lists: Vec<String> = paths
        .iter()
        .filter(|path| {
            ["/events", "/export", "/entity", "/actor", "/correlation", "/batch/", "/tenant"]
                .iter()
                .any(|begin| path.starts_with(begin))
        })
        .cloned()
        .collect();
    let filters = [
        "tenant=globex".to_owned(),
        "tenant=acme&tenant=globex".into(),
        "own=1".into(),
        "event=*".into(),
        "event=account.*&event=audit.*".into(),
        "where=note%3Dof-globex-alone".into(),
        "context=a%3Db".into(),
        "target=invoice%3Aof-globex-alone".into(),
        "entity=account%3A42".into(),
        "entity_type=account".into(),
        format!("correlation={REQUEST}"),
        format!("causation={own}"),
        "outcome=ok&outcome=error".into(),
        "since=2000-01-01T00%3A00%3A00Z".into(),
        "order=oldest".into(),
        "check=1".into(),
        "count=1".into(),
        "origin=*".into(),
        format!("newer=0.{}", "0".repeat(32)),
        format!("older=9999999999999999.{}", "f".repeat(32)),
    ];
    paths.extend(lists.iter().flat_map(|list| filters.iter().map(move |filter| format!("{list}?{filter}"))));
    paths.extend(["/?find=of-globex", "/events.json?find=globex", "/?count=1&tenant=globex"].map(str::to_owned));
    let mut shown = 0;
    for path in &paths {
        for token in ["acme", "invoices"] {
            let answer = asked(&page, token, Method::GET, path).await;
            assert!(answer.status.as_u16() < 500, "{path}: {}", answer.text);
            // The viewer's own words come back in fields, links and refusals.
            let echoed = path.contains("of-globex");
            assert!(echoed || !answer.text.contains(SECRET), "{token} sees by {path}: {}", answer.text);
            assert!(!answer.text.contains("\"tenant\":\"globex\""), "{token} sees by {path}: {}", answer.text);
            for id in &ids {
                let is_named = path.contains(&id.to_string());
                assert!(is_named || !answer.text.contains(&id.to_string()), "{token} sees by {path}: {}", answer.text);
            }
            shown += usize::from(answer.text.contains("of-acme"));
        }
    }
    // The hidden parts are there.
    let all = asked(&page, "all", Method::GET, "/events.json").await;
    assert!(all.text.contains(SECRET) && shown > 50, "{shown}");
}

#[tokio::test]
async fn a_tail_of_a_tenants_user_is_theirs_alone() {
    let (database, _) = two_tenants().await;
    let directory = tempfile::tempdir().unwrap();
    let page = Page::start(&database, &["--access", &access(directory.path())]);
    // Both ask the same, and share no tail.
    let follow = async |token: &str, until: &str| {
        let mut response = page.request("/tail").bearer_auth(token).send().await.unwrap();
        let mut read = String::new();
        while !read.contains(until) {
            read.push_str(&String::from_utf8_lossy(&response.chunk().await.unwrap().unwrap()).replace("<wbr>", ""));
        }
        read
    };
    let sending = async {
        loop {
            record(&database, |audit| {
                for (event, tenant) in [("first.one", "globex"), ("second.one", "acme")] {
                    drop(audit.record(Event::new(event).tenant(tenant)).unwrap());
                }
            })
            .await;
        }
    };
    let following = async { tokio::join!(follow("all", "first.one"), follow("acme", "second.one")) };
    let patience = tokio::time::timeout(tests::wait::PATIENCE, following);
    tokio::select! {
        read = patience => {
            let (_, of_acme) = read.unwrap();
            assert!(!of_acme.contains("first.one"), "{of_acme}");
        }
        () = sending => unreachable!(),
    }
}

#[tokio::test]
async fn each_route_is_on_record_before_it_shows_anything() {
    let (database, ids) = two_tenants().await;
    let page = Page::start(&database, &[]);
    let count =
        "SELECT count(*) FROM audit_events WHERE event_type IN ('audit.viewed', 'audit.exported', 'audit.proof')";
    let mut paths = paths(&page, "", &database, ids[0]).await;
    // The reveal has tests of its own, with a key; the document shows nothing of the trail.
    paths.retain(|path| !path.contains("/reveal") && !path.starts_with("/openapi"));
    for path in &paths {
        for method in [Method::GET, Method::HEAD] {
            let before = database.count(count).await;
            let answer = asked(&page, "", method.clone(), path).await;
            assert_eq!(answer.status, StatusCode::OK, "{method} {path}: {}", answer.text);
            assert!(database.count(count).await > before, "{method} {path} is on record");
            assert_eq!(method == Method::HEAD || path.starts_with("/tail"), answer.text.is_empty(), "{method} {path}");
        }
    }
    // Batches are refused from now on, and reading is not.
    let sql = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$; \
               CREATE TRIGGER a_refusal BEFORE INSERT ON audit_batches FOR EACH ROW EXECUTE FUNCTION refuse()";
    sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
    let answers = join_all(paths.iter().map(|path| asked(&page, "", Method::GET, path))).await;
    for (path, answer) in paths.iter().zip(answers) {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(!answer.text.contains("of-acme") && !answer.text.contains("credited"), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn no_other_method_does_anything() {
    let (database, ids) = two_tenants().await;
    let page = Page::start(&database, &[]);
    let count = "SELECT count(*) FROM audit_events";
    let paths = paths(&page, "", &database, ids[0]).await;
    let before = database.count(count).await;
    for path in &paths {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "X"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = asked(&page, "", method.clone(), path).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(answer.header("allow"), "GET,HEAD", "{method} {path}");
        }
        let overridden =
            page.request("/nothing").header("x-http-method-override", "GET").header("x-original-url", path);
        assert_eq!(sent(overridden).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(database.count(count).await, before);
    // A part of an answer is asked for, and all of it comes.
    let part = sent(page.request("/export.ndjson").header("range", "bytes=0-10")).await;
    assert_eq!((part.status, part.text.lines().count()), (StatusCode::OK, 21));
}

#[tokio::test]
async fn another_sites_page_gets_nothing_and_leaves_nothing_on_record() {
    let (database, ids) = two_tenants().await;
    let page = Page::start(&database, &[]);
    let count = "SELECT count(*) FROM audit_events";
    let paths = paths(&page, "", &database, ids[0]).await;
    let before = database.count(count).await;
    for (site, mode, destination) in [
        ("cross-site", "no-cors", "image"),
        ("cross-site", "cors", "empty"),
        ("same-site", "no-cors", "script"),
        ("cross-site", "navigate", "iframe"),
        ("same-site", "websocket", "empty"),
    ] {
        for path in &paths {
            let request = page.request(path).header("sec-fetch-site", site).header("sec-fetch-mode", mode);
            let answer = sent(request.header("sec-fetch-dest", destination)).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{site} {mode} {destination} {path}");
        }
    }
    assert_eq!(database.count(count).await, before);
    // A link on another site is followed by the viewer.
    for site in ["cross-site", "same-origin", "none"] {
        let request = page.request("/").header("sec-fetch-site", site).header("sec-fetch-mode", "navigate");
        assert_eq!(sent(request.header("sec-fetch-dest", "document")).await.status, StatusCode::OK, "{site}");
    }
}

#[tokio::test]
async fn no_header_but_the_connection_states_where_a_viewer_is() {
    let (database, _) = two_tenants().await;
    let page = Page::start(&database, &[]);
    let mut request = page.request("/");
    for name in ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip", "x-client-ip", "cf-connecting-ip"] {
        request = request.header(name, "for=203.0.113.9");
    }
    let request = request.header("x-forwarded-host", "evil.example").header("x-forwarded-proto", "https");
    let answer = sent(request).await;
    assert!(answer.status == StatusCode::OK && !answer.text.contains("evil.example"), "{}", answer.text);
    let sql = "SELECT string_agg(DISTINCT data->>'from', ',') FROM audit_events WHERE event_type = 'audit.viewed'";
    let from: String = sqlx::query_scalar(sql).fetch_one(&database.pool).await.unwrap();
    assert_eq!(from, "127.0.0.1");
}

#[tokio::test]
async fn guesses_of_a_token_are_limited_and_a_session_is_always_a_new_one() {
    let (database, _) = two_tenants().await;
    let directory = tempfile::tempdir().unwrap();
    let file = access(directory.path());
    let page = Page::start(&database, &["--access", &file, "--requests-per-second", "1"]);
    let guesses = (0..20).map(|number| sent(page.form("/login", &format!("token={number}"))));
    let statuses: Vec<u16> = join_all(guesses).await.iter().map(|answer| answer.status.as_u16()).collect();
    let limited = statuses.iter().filter(|status| **status == 429).count();
    assert!(limited >= 10 && statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    // A right token is refused, too, while the guesses last: the answer tells nothing about it.
    let page = Page::start(&database, &["--access", &file]);
    let planted = "__Host-audit-trail=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let log_in = async || sent(page.form("/login", "token=all").header("cookie", planted)).await;
    let cookie = |answer: &Answer| answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let (first, second) = (cookie(&log_in().await), cookie(&log_in().await));
    assert!(first.len() == planted.len() && first != planted && first != second, "{first} {second}");
    let status = async |cookie: &str| sent(page.request("/events.json").header("cookie", cookie)).await.status;
    assert_eq!(status(planted).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&first).await, StatusCode::OK);
    // A bearer token is looked at alone, and no cookie makes up for a wrong one.
    let both = page.request("/events.json").header("cookie", &first).bearer_auth("wrong");
    assert_eq!(sent(both).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn who_sends_slowly_is_cut_off() {
    let (database, _) = two_tenants().await;
    let page = Page::start(&database, &[]);
    let address = page.url.strip_prefix("http://").unwrap();
    let ends = async |sent: &'static str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(tests::wait::PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (silent, head, body) = tokio::join!(
        ends(""),
        ends("GET / HTTP/1.1\r\nHost: localhost\r\n"),
        ends(
            "POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 100\r\nConnection: close\r\n\r\ntoken="
        )
    );
    assert!(silent.is_empty() && !head.contains("200 OK"), "{silent} {head}");
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
}
