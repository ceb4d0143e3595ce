//! Hostile values, paths, queries and cursors.

use crate::scene::{accounts, key};
use crate::server::{Page, sent};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tests::Database;

/// Texts that run, or break out of what is around them, where they are not escaped.
pub const PAYLOADS: [&str; 24] = [
    "<script>alert(1)</script>",
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "\" onmouseover=\"alert(1)\" x=\"",
    "' autofocus onfocus='alert(1)' x='",
    "<details open ontoggle=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<!--<script>-->alert(1)",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}",
    "\r\nSet-Cookie: x=1\r\n\r\n<script>alert(1)</script>",
    "\u{202e}evil\u{2066}",
    "\u{1b}]0;owned\u{7}",
];

/// A trail with each payload in every column that takes a text.
pub async fn hostile() -> Database {
    let database = Database::new().await;
    for (number, payload) in PAYLOADS.iter().enumerate() {
        let sql = "INSERT INTO audit_events (id, event_type, entity_type, actor, data, created_at, outcome, duration_us, correlation_id, context, \
                   origin, entity_key, entity_id, targets, tenant) VALUES ($1, $2, $2, $2, jsonb_build_object($2, $2, 'error', jsonb_build_object('message', $2, 'causes', \
                   jsonb_build_array($2)), 'changes', jsonb_build_object($2, jsonb_build_object($2, jsonb_build_object('from', $2, 'to', $2)))), \
                   '2026-05-04 09:00:00Z'::timestamptz + interval '1 s' * $3, $2, 7, '00000000-0000-7000-8000-0000000000cc', jsonb_build_object('reason', $2, $2, $2), \
                   $2, $2, gen_random_uuid(), jsonb_build_array(jsonb_build_object('type', $2, 'id', $2, 'key', $2)), $2)";
        let id = uuid::Uuid::from_u128(0x7000_8000_0000_0000_0000 + number as u128);
        sqlx::query(sql).bind(id).bind(payload).bind(number as i32).execute(&database.pool).await.unwrap();
    }
    database
}

/// Fails if a page has an element or an attribute that its own templates do not make.
fn is_harmless(path: &str, page: &str) {
    let lower = page.to_lowercase();
    assert_eq!(lower.matches("<script").count(), 1, "{path}");
    for bad in [
        "<img",
        "<iframe",
        "<base",
        "<math",
        " onerror=",
        "\" onload=",
        " ontoggle=",
        "srcdoc=",
        "http-equiv",
        "href=\"javascript",
        "href=\"data:",
        "style=\"",
    ] {
        let open = lower.match_indices(bad).filter(|(at, _)| {
            // Escaped, it stands in a text or an attribute: no tag is open around it.
            let before = &lower[..*at];
            bad.starts_with('<')
                || before.rfind('<') > before.rfind('>')
                    && before[before.rfind('<').unwrap()..].matches('"').count().is_multiple_of(2)
        });
        assert_eq!(open.count(), 0, "{path} contains {bad}");
    }
    // A field keeps what the viewer wrote; everywhere else it is replaced.
    let (first, rest) = page.split_once(" value=\"").unwrap_or((page, ""));
    let outside = rest.split(" value=\"").filter_map(|part| part.split_once('"')).map(|(_, behind)| behind);
    let outside: String = std::iter::once(first).chain(outside).collect();
    assert!(!outside.contains('\u{202e}') && !outside.contains('\u{1b}'), "{path}");
}

#[tokio::test]
async fn values_of_every_column_are_shown_as_text() {
    let database = hostile().await;
    let page = Page::start(&database, &[]);
    let mut paths = vec![
        "/".to_owned(),
        "/?check=1".into(),
        "/?order=oldest".into(),
        "/correlation/00000000-0000-7000-8000-0000000000cc".into(),
        "/status".into(),
    ];
    let list = page.json("/events.json").await;
    for entry in list["events"].as_array().unwrap() {
        paths.push(format!("/event/{}", entry["event"]["id"].as_str().unwrap()));
    }
    let shown = page.page("/").await;
    paths.extend(links(&shown));
    for payload in PAYLOADS {
        let encoded: String = form_urlencoded(payload);
        for name in [
            "event",
            "actor",
            "tenant",
            "find",
            "origin",
            "outcome",
            "entity_type",
            "tz",
            "since",
            "older",
            "where",
            "evnet",
        ] {
            paths.push(format!("/?{name}={encoded}"));
        }
        paths.push(format!("/?where={}", form_urlencoded(&format!("a={payload}"))));
        paths.push(format!("/entity/{0}/{0}", encoded.replace('+', "%20")));
        paths.push(format!("/{}", encoded.replace('+', "%20")));
    }
    assert!(paths.len() > 300, "{}", paths.len());
    for path in paths {
        let answer = page.answer(&path).await;
        assert!(answer.status.as_u16() < 500, "{path}: {}", answer.text);
        assert!(answer.headers.get("set-cookie").is_none(), "{path}");
        let is_page =
            answer.headers.get("content-type").is_some_and(|kind| kind.to_str().unwrap().starts_with("text/html"));
        if answer.status.as_u16() != 303 && is_page {
            is_harmless(&path, &answer.text);
        }
    }
    let csv = page.page("/export.csv").await;
    assert!(!csv.contains("\n=") && !csv.contains(",=") && !csv.contains(",@"), "{csv}");
}

fn form_urlencoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The links of this site on a page.
fn links(page: &str) -> Vec<String> {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links
        .filter(|link| link.starts_with('/') && !link.starts_with("/assets") && !link.starts_with("/export"))
        .map(|link| link.replace("&amp;", "&"))
        .collect()
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_it_in_its_place() {
    let database = accounts(2, &key()).await;
    let page = Page::start(&database, &[]);
    let shown = page.page("/").await;
    let assets: Vec<String> = shown.split('"').filter(|part| part.starts_with("/assets/")).map(str::to_owned).collect();
    assert_eq!(assets.len(), 3);
    let mut paths: Vec<&str> = assets.iter().map(String::as_str).collect();
    paths.extend([
        "/",
        "/nothing",
        "/?x=y",
        "/events.json",
        "/openapi.json",
        "/login",
        "/healthz",
        "/export.csv",
        "/tail",
        "/assets/x",
    ]);
    for path in paths {
        let response = page.request(path).send().await.unwrap();
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';")
                && !policy.contains("unsafe"),
            "{path}: {policy}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin", "{path}");
        let kept = path.starts_with("/assets/p") || path.starts_with("/assets/i");
        assert_eq!(headers["cache-control"] == "no-store", !kept, "{path}");
        assert!(headers.get("server").is_none(), "{path}");
    }
    assert!(!shown.contains("style=") && !shown.contains("onclick") && !shown.contains("<style"), "{shown}");
}

/// Requests that no person makes.
fn request() -> impl Strategy<Value = String> {
    let id = prop_oneof![Just("00000000-0000-7000-8000-0000000000aa".to_owned()), "[0-9a-f-]{0,40}", "\\PC{0,12}"];
    let part = prop_oneof![
        Just("event".to_owned()),
        Just("entity".into()),
        Just("actor".into()),
        Just("tenant".into()),
        Just("correlation".into()),
        Just("batch".into()),
        Just("batches".into()),
        Just("checkpoint".into()),
        Just("checkpoints".into()),
        Just("status".into()),
        Just("export.csv".into()),
        Just("openapi".into()),
        Just("assets".into()),
        Just("events".into()),
        "\\PC{0,20}",
    ];
    let name = prop_oneof![
        Just("event".to_owned()),
        Just("entity".into()),
        Just("entity_id".into()),
        Just("since".into()),
        Just("until".into()),
        Just("where".into()),
        Just("context".into()),
        Just("older".into()),
        Just("newer".into()),
        Just("tz".into()),
        Just("find".into()),
        Just("before".into()),
        Just("check".into()),
        Just("order".into()),
        Just("batch".into()),
        Just("outcome".into()),
        Just("origin".into()),
        "[a-z_]{0,8}",
    ];
    let value = prop_oneof![
        "\\PC{0,30}",
        "[0-9]{1,25}\\.[0-9a-f]{32}",
        "-?infinity",
        "-?infinity\\.[0-9a-f]{32}",
        "[a-z]{1,6}=[\\[{\"0-9e.]{0,12}",
        "[0-9]{1,7}-[0-9]{2}-[0-9]{2}",
        "[0-9]{1,12}(us|s|m|h|d|w|mo|y)",
        Just("1".to_owned()),
        Just("*".repeat(50)),
        Just("account:42".into()),
        "[A-Z][a-z]{2,6}/[A-Z][a-z]{2,8}",
    ];
    let query = prop::collection::vec((name, value), 0..4);
    let suffix = prop_oneof![Just(""), Just(".json"), Just("/proof.json"), Just("/reveal"), Just("/")];
    (part, prop::collection::vec(id, 0..3), suffix, query, any::<bool>()).prop_map(|(part, ids, suffix, query, raw)| {
        let encode = |text: &str| {
            if raw {
                text.chars().filter(char::is_ascii_graphic).filter(|c| *c != '#').collect()
            } else {
                form_urlencoded(text)
            }
        };
        let path: Vec<String> = std::iter::once(part).chain(ids).map(|part| encode(&part)).collect();
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        format!("/{}{suffix}?{}", path.join("/"), query.join("&"))
    })
}

/// 300 by default; AUDIT_PAGE_REQUESTS sets another number.
#[tokio::test]
async fn no_request_is_answered_with_a_fault() {
    let requests = std::env::var("AUDIT_PAGE_REQUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let database = accounts(20, &key()).await;
    let page = Page::start(&database, &[]);
    let mut runner = TestRunner::deterministic();
    let mut by_status = std::collections::BTreeMap::<u16, u32>::new();
    for _ in 0..requests {
        let path = request().new_tree(&mut runner).unwrap().current();
        let Ok(request) = page.request(&path).build() else { continue };
        let response = reqwest::Client::new().execute(request).await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap_or_default();
        assert!(status < 500, "{path}: {status} {text}");
        *by_status.entry(status).or_default() += 1;
    }
    eprintln!("{by_status:?}");
    assert!(by_status.len() > 2, "{by_status:?}");
}

#[tokio::test]
async fn raw_requests_that_are_no_http_end_and_the_server_goes_on() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let database = accounts(2, &key()).await;
    let page = Page::start(&database, &[]);
    let address = page.url.strip_prefix("http://").unwrap().to_owned();
    for raw in [
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            .to_owned(),
        "GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        "GET /?%00=%00&actor=%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
        "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
        "GET //evil.example/.. HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
        "GET /.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
        format!("GET /?actor={} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "a".repeat(30_000)),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(100_000)),
        "TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
        "\u{16}\u{3}\u{1}".into(),
    ] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let _ = stream.write_all(raw.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(tests::wait::PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.starts_with("HTTP/1.1 5"), "{raw:.60}: {answer}");
    }
    assert_eq!(sent(page.request("/healthz")).await.text, "alive\n");
}
