//! Hostile values, in every column, on every page.

use crate::payloads::payloads;
use crate::scene::{accounts, as_superuser, key};
use crate::server::{Answer, Page, sent};
use futures_util::{StreamExt, stream};
use tests::Database;

/// A trail with each payload in every column that takes a text, of every table that pages show.
pub async fn hostile() -> Database {
    let database = Database::new().await;
    // Functions of services, batches, checkpoints and gaps have texts, too.
    let event = "INSERT INTO audit_events (id, event_type, entity_type, actor, data, created_at, outcome, duration_us, correlation_id, context, \
         origin, entity_key, entity_id, targets, tenant, causation_id) SELECT $1, $2, $2, $2, jsonb_build_object($2, $2, 'error', jsonb_build_object('message', $2, 'causes', \
         jsonb_build_array($2)), 'changes', jsonb_build_object($2, jsonb_build_object($2, jsonb_build_object('from', $2, 'to', $2)), \
         'x', jsonb_build_object('from', $2, 'to', '[redacted]'))), \
         '2026-05-04 09:00:00Z'::timestamptz + interval '1 s' * $3, $2, 7, '00000000-0000-7000-8000-0000000000cc', jsonb_build_object('reason', $2, $2, $2), \
         $2, $2, gen_random_uuid(), jsonb_build_array(jsonb_build_object('type', $2, 'id', $2, 'key', $2)), $2, \
         CASE WHEN $3 % 2 = 1 THEN $4 END";
    let gap = "INSERT INTO audit_events (id, event_type, entity_type, actor, data, origin) \
         SELECT gen_random_uuid(), 'audit.gap', $1, $1, jsonb_build_object('lost', $1, $1, $1), $1";
    let batch = "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin) \
         SELECT gen_random_uuid(), gen_random_uuid(), 0, 1, 0, $1";
    let checkpoint = "INSERT INTO audit_checkpoints (tree_size, note, frontier) SELECT 0, $1, ''";
    let catalogue = "INSERT INTO audit_catalogue (service, version, digest, functions, origin) SELECT $1, $1, sha256(convert_to($1, 'UTF8')), \
         jsonb_build_array(jsonb_build_object('function', $1, 'file', $1, 'events', jsonb_build_array($1), 'entity_type', $1, 'also', jsonb_build_array($1), \
         'actor', $1, 'fields', jsonb_build_array(jsonb_build_object('name', $1, 'source', 'parameter', 'capture', 'value', 'is_personal', true)))), $1";
    let mut connection = database.pool.acquire().await.unwrap();
    for (number, payload) in payloads().iter().enumerate() {
        let id = |number: usize| uuid::Uuid::from_u128(0x7000_8000_0000_0000_0000 + number as u128);
        let before = id(number.saturating_sub(1));
        sqlx::query(event)
            .bind(id(number))
            .bind(payload)
            .bind(number as i32)
            .bind(before)
            .execute(&mut *connection)
            .await
            .unwrap();
        for sql in [gap, batch, checkpoint, catalogue] {
            sqlx::query(sql).bind(payload).execute(&mut *connection).await.unwrap();
        }
    }
    drop(connection);
    let partition = "CREATE TABLE \"<img src=x onerror=alert(1)>\" PARTITION OF audit_events FOR VALUES FROM ('2999-01-01') TO ('2999-02-01')";
    as_superuser(&database, partition).await;
    database
}

/// The pages that show such a trail.
pub async fn pages(page: &Page) -> Vec<String> {
    let mut paths = vec![
        "/".to_owned(),
        "/?check=1".into(),
        "/?order=oldest&count=1".into(),
        "/?find=evil".into(),
        "/?event=audit.gap".into(),
        "/correlation/00000000-0000-7000-8000-0000000000cc".into(),
    ];
    let document = page.json("/openapi.json").await;
    let lists = document["paths"].as_object().unwrap().keys().filter_map(|path| path.strip_suffix(".json"));
    paths.extend(lists.filter(|path| !path.contains('{') && *path != "/events").map(str::to_owned));
    let mut next = Some("/events.json".to_owned());
    while let Some(list) = next {
        let list = page.json(&list).await;
        let ids = list["events"].as_array().unwrap().iter().map(|entry| entry["event"]["id"].as_str().unwrap());
        paths.extend(ids.map(|id| format!("/event/{id}")));
        next = list["older"].as_str().map(str::to_owned);
        paths.extend(next.iter().map(|next| next.replace("/events.json", "/")));
    }
    for row in page.json("/batches.json").await["rows"].as_array().unwrap().iter().take(9) {
        paths.push(format!("/batch/{}", row["id"].as_str().unwrap()));
    }
    paths.extend((1..=payloads().len()).map(|number| format!("/checkpoint/{number}")));
    paths
}

/// The pages of the things that payloads name, and questions that contain them.
pub fn questions() -> Vec<String> {
    const NAMES: [&str; 20] = [
        "event",
        "actor",
        "tenant",
        "find",
        "origin",
        "outcome",
        "entity_type",
        "entity",
        "target",
        "tz",
        "since",
        "until",
        "older",
        "newer",
        "where",
        "context",
        "batch",
        "order",
        "check",
        "evnet",
    ];
    let mut paths = Vec::new();
    for (number, payload) in payloads().iter().enumerate() {
        let encoded = form_urlencoded(payload);
        // Each parameter gets a fifth of them.
        paths.extend(NAMES.iter().skip(number % 5).step_by(5).map(|name| format!("/?{name}={encoded}")));
        paths.push(match number % 3 {
            0 => format!("/?where=a={encoded}"),
            1 => format!("/?entity={encoded}:{encoded}"),
            _ => format!("/?{encoded}={encoded}"),
        });
        paths.push(format!("/entity/{encoded}/{encoded}"));
        paths.push(match number % 2 {
            0 => format!("/actor/{encoded}"),
            _ => format!("/tenant/{encoded}"),
        });
        paths.push(match number % 3 {
            0 => format!("/{encoded}"),
            1 => format!("/event/{encoded}"),
            _ => format!("/login?to={encoded}"),
        });
    }
    paths
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
        "<style",
        "<animate",
        "<template",
        "<noscript",
        "action=\"//",
        " onerror=",
        "\" onload=",
        " ontoggle=",
        "srcdoc=",
        "http-equiv",
        "href=\"//",
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
    let steering = ['\u{202e}', '\u{1b}', '\u{9b}', '\u{2028}', '\u{200b}', '\u{85}', '\r'];
    assert!(!outside.contains(steering), "{path}");
}

/// Fails if an answer is a fault, or has a header that a payload made.
fn is_sound(path: &str, answer: &Answer) {
    assert!(answer.status.as_u16() < 500, "{path}: {}", answer.text);
    for header in ["set-cookie", "x-evil"] {
        assert!(answer.headers.get(header).is_none(), "{path}");
    }
    let is_page = answer.header("content-type").starts_with("text/html");
    let location = answer.header("location");
    assert!(location.is_empty() || location.starts_with('/') && !location.starts_with("//"), "{path}: {location}");
    if answer.status.as_u16() != 303 && is_page {
        is_harmless(path, &answer.text);
    }
}

#[tokio::test]
async fn values_of_every_column_are_shown_as_text() {
    let database = hostile().await;
    let page = Page::start(&database, &["--public-key", &key().public().to_string()]);
    let mut paths = pages(&page).await;
    paths.extend(links(&page.page("/").await));
    paths.extend(questions());
    assert!(paths.len() > 2_000, "{}", paths.len());
    let asked = stream::iter(&paths).map(async |path| (path, page.answer(path).await));
    let mut answers = asked.buffer_unordered(8);
    while let Some((path, answer)) = answers.next().await {
        is_sound(path, &answer);
    }
    drop(answers);
    assert_eq!(page.said(), [""; 0], "no request writes to the log");
}

#[tokio::test]
async fn no_cell_of_an_export_is_a_formula_and_no_line_is_torn() {
    let database = hostile().await;
    let page = Page::start(&database, &[]);
    let answer = sent(page.request("/export.csv?own=1&event=*")).await;
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"audit-events.csv\"");
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(answer.text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let (last, rows) = rows.split_last().unwrap();
    assert!(last[0].starts_with(&format!("# {} rows", rows.len())), "{last:?}");
    for payload in payloads() {
        let shown = |cell: &str| cell == payload || cell.strip_prefix('\'') == Some(&payload);
        let row = rows.iter().find(|row| shown(&row[1]));
        let row = row.unwrap_or_else(|| panic!("{payload:?} is not exported as it is"));
        // Event, entity type, actor, outcome, origin, key and tenant.
        assert!([1, 2, 4, 7, 12, 15, 17].iter().all(|column| shown(&row[*column])), "{row:?}");
    }
    for cell in rows.iter().flat_map(csv::StringRecord::iter) {
        let begin = cell.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
        let is_formula = begin.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
        assert!(!is_formula && !cell.starts_with(['\t', '\r', '\n']), "{cell:?}");
    }
    for form in ["ndjson", "cloudevents"] {
        let text = page.page(&format!("/export.{form}?event=*")).await;
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.len() > 2 * payloads().len(), "{}", lines.len());
    }
}

#[tokio::test]
async fn no_path_header_or_token_forges_a_line_of_the_log_or_a_name_on_record() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let database = accounts(2, &key()).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("access.toml");
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b"token"));
    // The name of a user is hostile, too.
    let name = toml_text("\"><img src=x onerror=alert(1)>\u{1b}[31m\u{202e}");
    let user = format!("[[user]]\nname = {name}\ntoken_sha256 = \"{hash}\"\nroles = [\"view\"]\n");
    std::fs::write(&file, format!("{user}[header]\nname = \"x-user\"\npeers = [\"127.0.0.1\"]\nroles = [\"view\"]\n"))
        .unwrap();
    let page = Page::start(&database, &["--access", file.to_str().unwrap()]);
    let shown = sent(page.request("/").bearer_auth("token")).await;
    is_sound("/", &shown);
    assert!(shown.text.contains("&lt;img src=x onerror=alert(1)&gt;"), "{}", shown.text);
    let address = page.url.strip_prefix("http://").unwrap();
    for payload in payloads() {
        for head in [
            format!("GET /?actor={payload} HTTP/1.1\r\nHost: x\r\nX-User: bob\r\n"),
            format!("GET / HTTP/1.1\r\nHost: {payload}\r\nX-User: bob\r\n"),
            format!("GET / HTTP/1.1\r\nHost: x\r\nX-User: {payload}\r\n"),
            format!("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {payload}\r\n"),
            format!("GET / HTTP/1.1\r\nHost: x\r\nAccept: {payload}\r\nCookie: __Host-audit-trail={payload}\r\n"),
        ] {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            let answer = String::from_utf8_lossy(&answer).to_lowercase();
            let (headers, _) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
            assert!(!headers.contains("\nset-cookie") && !headers.contains("\nx-evil"), "{head:?}: {headers}");
            assert!(!headers.starts_with("http/1.1 5"), "{head:?}: {answer}");
        }
    }
    assert_eq!(page.said(), [""; 0], "no request writes to the log");
    // Names that a proxy states are visible ASCII; the one with a token is that of the file.
    let names = "SELECT count(*) FROM audit_events WHERE actor ~ '[^ -~]' AND event_type = 'audit.viewed'";
    let all = "SELECT count(DISTINCT actor) FROM audit_events WHERE event_type = 'audit.viewed'";
    assert_eq!(database.count(names).await, 1);
    assert!(database.count(all).await > 100);
}

/// A text as TOML writes it.
fn toml_text(text: &str) -> String {
    let escaped: String = text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    format!("\"{escaped}\"")
}

/// A text, percent-encoded for a path or a query.
pub fn form_urlencoded(text: &str) -> String {
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
