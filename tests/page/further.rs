//! A search that no index serves shows what it found in time, and a link that looks further.

use crate::scene::{at, ids, key, record};
use crate::server::{Page, sent};
use audit_runtime::{Context, Event};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;
use tests::Database;

/// Events of two tenants, five at a time: each second second, and so at the ends of minutes too.
async fn scene() -> Database {
    let database = Database::new().await;
    record(&database, |audit| {
        let _entered = audit.enter();
        for number in 0..1_000_i64 {
            let _context = Context::new().attribute("ip", format!("10.0.0.{}", number % 3)).enter();
            let event = Event::new("account.credited").entity("account", number % 4).data(&json!({"cents": number}));
            let event =
                event.actor(format!("user:{}", number % 4)).tenant(if number % 2 == 0 { "acme" } else { "globex" });
            audit.record_at(event, at(number / 5 * 2)).unwrap();
        }
    })
    .await;
    database.admin().checkpoint(&key()).await.unwrap();
    database
}

/// Until the last of these events, before those of the page itself. Windows end at times that five events have.
const RANGE: &str = "until=2026-05-04T09%3A06%3A40Z&context=ip%3D10.0.0.1";
const UNTIL: &str = "until=2026-05-04T09%3A06%3A40Z";

/// Follows the links from a list to its end, and returns the ids of all events and the number of pages
/// that were not full.
async fn followed(page: &Page, path: &str, token: &str) -> (Vec<String>, usize) {
    let (mut path, mut ids, mut partial) = (path.to_owned(), Vec::new(), 0);
    for _ in 0..100_000 {
        let answer = sent(page.request(&path).bearer_auth(token)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let list: Value = serde_json::from_str(&answer.text).unwrap();
        ids.extend(
            list["events"].as_array().unwrap().iter().map(|entry| entry["event"]["id"].as_str().unwrap().to_owned()),
        );
        let forward = if path.contains("order=oldest") { "newer" } else { "older" };
        path = match (&list["looked"], &list[forward]) {
            (Value::Object(looked), Value::Null) => {
                partial += 1;
                looked["further"].as_str().unwrap().to_owned()
            }
            (Value::Null, Value::String(next)) => next.clone(),
            (Value::Null, Value::Null) => return (ids, partial),
            _ => panic!("{list}"),
        };
    }
    panic!("the links come to no end");
}

async fn selected(database: &Database, condition: &str) -> Vec<String> {
    let sql = format!("SELECT id::text FROM audit_events WHERE {condition} ORDER BY created_at DESC, id DESC");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&database.pool).await.unwrap()
}

async fn matching(database: &Database, tenant: &str) -> Vec<String> {
    let sql = "SELECT id::text FROM audit_events WHERE context @> '{\"ip\": \"10.0.0.1\"}' AND tenant LIKE $1 ORDER BY created_at DESC, id DESC";
    sqlx::query_scalar(sql).bind(tenant).fetch_all(&database.pool).await.unwrap()
}

#[tokio::test]
async fn the_links_lead_to_each_event_once_and_in_order() {
    let database = scene().await;
    let mut expected = matching(&database, "%").await;
    assert_eq!((expected.len(), ids(&database).await.len()), (333, 1_000));
    let page = Page::start(&database, &["--look-for", "0"]);
    let (found, partial) = followed(&page, &format!("/events.json?{RANGE}"), "").await;
    assert_eq!(found, expected);
    assert!(partial >= 5, "{partial}");
    expected.reverse();
    let (found, partial) = followed(&page, &format!("/events.json?order=oldest&{RANGE}"), "").await;
    assert_eq!(found, expected);
    assert!(partial >= 5, "{partial}");
    // A timeline asks two questions at once: about the entity, and with it as a further one.
    let sql = "SELECT id::text FROM audit_events WHERE context @> '{\"ip\": \"10.0.0.1\"}' AND entity_key = '3' ORDER BY created_at DESC, id DESC";
    let expected: Vec<String> = sqlx::query_scalar(sql).fetch_all(&database.pool).await.unwrap();
    let (found, partial) = followed(&page, &format!("/entity/account/3.json?{RANGE}"), "").await;
    assert_eq!(found, expected);
    assert!(partial >= 5, "{partial}");
}

#[tokio::test]
async fn a_search_for_a_text_leads_to_each_event_once_and_in_order() {
    let database = scene().await;
    let page = Page::start(&database, &["--look-for", "0"]);
    // An actor and an entity have many events.
    for (text, sql) in [("user:1", "actor = 'user:1'"), ("3", "entity_key = '3'"), ("nobody", "false")] {
        let (found, _) = followed(&page, &format!("/events.json?in=keys&find={text}&{UNTIL}"), "").await;
        assert_eq!(found, selected(&database, sql).await, "{text}");
    }
    // The text is in a third of all events, and in none.
    let (found, partial) = followed(&page, &format!("/events.json?in=values&find=0.0.0.1&{UNTIL}"), "").await;
    assert_eq!(found, matching(&database, "%").await);
    assert!(partial >= 5, "{partial}");
    let (found, partial) = followed(&page, &format!("/events.json?find=nowhere&{UNTIL}"), "").await;
    assert!(found.is_empty() && partial >= 5, "{partial}");
    // A whole page of events at one time has the text, and the next pages go on behind it.
    let all = Page::start(&database, &[]);
    let (found, partial) = followed(&all, "/events.json?in=values&find=0.0.0.1", "").await;
    assert_eq!((found, partial), (matching(&database, "%").await, 0));
}

#[tokio::test]
async fn the_page_states_how_far_it_has_looked() {
    let database = scene().await;
    let page = Page::start(&database, &["--look-for", "0"]);
    let (mut path, mut rows, mut pages) = (format!("/?{RANGE}"), 0, 0);
    loop {
        let text = page.page(&path).await;
        let here = text.matches("<tr class=\"event\"").count();
        (rows, pages) = (rows + here, pages + 1);
        let Some((_, looked)) = text.split_once("<p class=\"looked\">Looked at events down to ") else { break };
        let found = if pages == 1 { "so far" } else { "on this page" };
        assert!(looked.contains(&format!("; {here} found {found}. <a href=\"/?")), "{looked}");
        assert!(!text.contains("No event matches"), "{text}");
        let link = looked.split_once("<a href=\"").unwrap().1.split_once("\">Look further</a>").unwrap().0;
        assert!(link.contains("&amp;look=1") && link.contains("older="), "{link}");
        path = link.replace("&amp;", "&");
    }
    assert!(rows == 333 && pages > 5, "{rows} {pages}");
    // With time, it looks at all.
    let page = Page::start(&database, &["--look-for", "5000"]);
    let text = page.page(&format!("/?{RANGE}&tenant=acme")).await;
    assert!(!text.contains("Looked at events") && text.contains("rel=\"next\""), "{text}");
    let nothing = page.page("/?context=ip%3Dnowhere").await;
    assert!(nothing.contains("No event matches"), "{nothing}");
}

#[tokio::test]
async fn a_tenants_user_looks_further_behind_the_wall() {
    let database = scene().await;
    let name: String = sqlx::query_scalar("SELECT current_database()::text").fetch_one(&database.pool).await.unwrap();
    let role = format!("{name}_acme");
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE ROLE {role} LOGIN"))).execute(&database.pool).await.unwrap();
    database.admin().assign_tenant(&role, "acme").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.toml");
    let url = database.url.replace("postgres://postgres@", &format!("postgres://{role}@"));
    let hash = hex::encode(Sha256::digest("tim's"));
    let user = format!(
        "[[user]]\nname = \"tim\"\ntoken_sha256 = \"{hash}\"\nroles = [\"view\"]\ntenants = [\"acme\"]\ndatabase_url = \"{url}\"\n"
    );
    std::fs::write(&path, user).unwrap();
    let page = Page::start(&database, &["--look-for", "0", "--access", path.to_str().unwrap()]);
    let (found, partial) = followed(&page, &format!("/events.json?{RANGE}"), "tim's").await;
    assert_eq!(found, matching(&database, "acme").await);
    assert!(partial >= 5, "{partial}");
}
