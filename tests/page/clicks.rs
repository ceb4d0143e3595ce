//! Uses of the page: with clicks alone, without script, by keyboard, while events arrive.

use crate::browser::{Browser, Settings, is_there};
use crate::scene::{accounts, as_superuser, ids, key, record};
use crate::server::Page;
use audit_runtime::Event;
use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::json;
use tests::Database;

/// A desk with a rejected order, its account's changes, and calls within a request.
pub async fn desk() -> (Database, audit_runtime::evidence::SigningKey) {
    let key = key();
    let database = accounts(130, &key).await;
    record(&database, |audit| {
        let limit = json!({"changes": {"account": {"limit_cents": {"from": 10_000, "to": 250_000}, "mode": {"from": "cash", "to": "margin"}}},
                           "reason": "approved by the risk desk"});
        audit.record_at(Event::new("account.limit_changed").entity("account", 42).tenant("acme").actor("user:ada").data(&limit), crate::scene::at(300)).unwrap();
    })
    .await;
    let rows = include_str!("../command/morning.sql").replace("2026-05-04 09:", "2026-05-04 10:");
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows)).execute(&database.pool).await.unwrap();
    database.admin().checkpoint(&key).await.unwrap();
    (database, key)
}

/// A key as it is sent.
fn key_of(key: Key) -> String {
    char::from(key).to_string()
}

#[tokio::test]
async fn the_auditors_questions_are_answered_by_clicks_without_script() {
    if !is_there() {
        return;
    }
    let (database, key) = desk().await;
    let page = Page::start(&database, &["--public-key", &key.public().to_string()]);
    let browser = Browser::start(Settings { script: false, ..Settings::default() }).await;
    browser.open(&page.url).await;
    assert!(browser.text("#list").await.starts_with("100 events"));
    // The script did not run.
    assert_eq!(browser.count("[data-tail]:not([hidden])").await, 0);

    // What failed? A value among the counts, which a busy machine may not have counted at once.
    browser.open(&format!("{}/?count=1", page.url)).await;
    browser.follow(Locator::Css(".facets a[href*='outcome=error']")).await;
    assert_eq!(browser.count("tr.event").await, 1);
    // Why, and in which request?
    browser.follow(Locator::Css("tr.event a.open")).await;
    assert_eq!(browser.text(".error .message").await, "the account is closed");
    assert!(browser.text(".evidence h2").await.contains("verified"));
    browser.leaves(async || browser.client.back().await.unwrap()).await;
    assert_eq!(browser.count("tr.event").await, 1);
    browser.follow(Locator::LinkText("Clear")).await;

    // Who changed the limit of account 42, and from what? By the form.
    let field = browser.client.find(Locator::Css("#entity")).await.unwrap();
    field.send_keys("account:42").await.unwrap();
    browser.follow(Locator::Css("#search button.primary")).await;
    browser.arrives("/?entity=account%3A42").await;
    browser.follow(Locator::Css("tr.event a.open")).await;
    let changes = browser.text(".changes").await;
    assert!(
        changes.contains("limit_cents was 10000, is 250000") && changes.contains("mode was cash, is margin"),
        "{changes}"
    );
    assert!(browser.text(".lead").await.contains("user:ada"));

    // What else did she do, and what happened to the account? By links.
    browser.follow(Locator::Css(".lead a")).await;
    assert_eq!(browser.text("h1").await, "user:ada");
    browser.follow(Locator::Css("td.entity a")).await;
    assert_eq!(browser.text("h1").await, "account 42");

    // What happened in a request, in which order?
    browser.open(&format!("{}/?event=order.accepted", page.url)).await;
    browser.follow(Locator::Css("tr.event a.open")).await;
    let tree = browser.text(".related").await;
    let at = |text: &str| tree.find(text).unwrap_or_else(|| panic!("{text}: {tree}"));
    assert!(at("order.submitted") < at("order.accepted (this event)"), "{tree}");

    // Older and newer pages, and who looked.
    browser.follow(Locator::Css("a.brand")).await;
    browser.follow(Locator::Css("a[rel=next]")).await;
    assert!(browser.count("tr.event").await < 100);
    browser.follow(Locator::Css("a[rel=prev]")).await;
    assert_eq!(browser.count("tr.event").await, 100);
    browser.follow(Locator::LinkText("Who looked")).await;
    assert!(browser.count("tr.event").await > 8);
    assert_eq!(browser.reports().await, [""; 0]);
}

#[tokio::test]
async fn everything_is_reached_by_keys_and_the_focus_is_seen() {
    if !is_there() {
        return;
    }
    let (database, _) = desk().await;
    let page = Page::start(&database, &[]);
    let browser = Browser::start(Settings::default()).await;
    browser.open(&page.url).await;
    // The first stop leads past the frame.
    let tab = key_of(Key::Tab);
    browser.client.find(Locator::Css("body")).await.unwrap().send_keys(&tab).await.unwrap();
    assert_eq!(browser.value("document.activeElement.className").await, "skip");
    browser.keys(&key_of(Key::Enter)).await;
    assert_eq!(browser.value("location.hash").await, "#main");
    // Each further stop is seen.
    for _ in 0..40 {
        browser.keys(&tab).await;
        let seen = "(() => { const e = document.activeElement, s = getComputedStyle(e); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2; })()";
        assert_eq!(
            browser.value(seen).await,
            true,
            "{}",
            browser.value("document.activeElement.outerHTML.slice(0, 200)").await
        );
    }
    browser.keys("/").await;
    // A key that is written stays in its field.
    assert_eq!(browser.value("document.activeElement.tagName").await, "INPUT");
    browser.open(&page.url).await;
    browser.client.find(Locator::Css("body")).await.unwrap().send_keys("jjk").await.unwrap();
    assert_eq!(
        browser
            .value("[...document.querySelectorAll('tr.event')].findIndex(row => row.hasAttribute('aria-selected'))")
            .await,
        0
    );
    browser.keys("?").await;
    assert_eq!(browser.value("document.getElementById('keys').open").await, true);
    browser.keys(&key_of(Key::Escape)).await;
    assert_eq!(browser.value("document.getElementById('keys').open").await, false);
    browser.client.find(Locator::Css("tr.event a.open")).await.unwrap().send_keys("jo").await.unwrap();
    browser.eventually("the event opens", "location.pathname.startsWith('/event/')").await;
    assert_eq!(browser.reports().await, [""; 0]);
}

#[tokio::test]
async fn a_tail_shows_new_rows_and_keeps_its_order() {
    if !is_there() {
        return;
    }
    let (database, _) = desk().await;
    let page = Page::start(&database, &[]);
    let browser = Browser::start(Settings::default()).await;
    browser.open(&format!("{}/?tenant=acme", page.url)).await;
    browser.click("#tail").await;
    browser.eventually("it follows", "document.getElementById('tail-state').textContent === 'following'").await;
    let arriving = async {
        for number in 0.. {
            record(&database, |audit| {
                for tenant in ["acme", "globex"] {
                    drop(audit.record(Event::new("note.left").entity("note", number).tenant(tenant)).unwrap());
                }
            })
            .await;
        }
    };
    tokio::select! {
        () = browser.eventually("two rows arrive", "document.querySelectorAll('tr.event.new').length >= 2") => {}
        () = arriving => {}
    }
    let times = "[...document.querySelectorAll('tr.event time')].map(t => t.dateTime)";
    let times: Vec<String> = serde_json::from_value(browser.value(times).await).unwrap();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
    assert!(!browser.text("#events").await.contains("globex"));
    browser.click("#tail").await;
    let ended = "SELECT count(*) FROM audit_events WHERE data->>'page' = 'tail' AND data->>'state' = 'ended'";
    tests::eventually("the end is on record", async || database.count(ended).await == 1).await;
    assert_eq!(browser.reports().await, [""; 0]);
}

#[tokio::test]
async fn a_tampered_row_is_red_on_its_page_and_in_the_list_after_a_click() {
    if !is_there() {
        return;
    }
    let (database, key) = desk().await;
    let page = Page::start(&database, &["--public-key", &key.public().to_string()]);
    let id = ids(&database).await[125];
    as_superuser(&database, &format!("UPDATE audit_events SET actor = 'user:nobody' WHERE id = '{id}'")).await;
    let browser = Browser::start(Settings::default()).await;
    browser.open(&page.url).await;
    assert_eq!(browser.count(".badge.altered").await, 0);
    browser.follow(Locator::Css("a.check")).await;
    assert_eq!((browser.count("td .badge.altered").await, browser.count("td .badge.verified").await), (1, 99));
    browser.follow(Locator::Css("tr.event:has(.badge.altered) a.open")).await;
    assert!(browser.text(".evidence").await.contains("ALTERED"));
    assert_eq!(browser.text(".steps li:first-child .badge").await, "FAILED");
}

#[tokio::test]
async fn a_login_keeps_a_browser_in() {
    if !is_there() {
        return;
    }
    let (database, _) = desk().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("access.toml");
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b"secret"));
    std::fs::write(
        &file,
        format!("[[user]]\nname = \"ada\"\ntoken_sha256 = \"{hash}\"\nroles = [\"view\"]\ntenants = [\"acme\"]\n"),
    )
    .unwrap();
    let page = Page::start(&database, &["--access", file.to_str().unwrap()]);
    let url = page.url.replace("127.0.0.1", "localhost");
    let browser = Browser::start(Settings::default()).await;
    browser.open(&format!("{url}/?actor=user%3A1")).await;
    assert_eq!(browser.text("h1").await, "Log in");
    let field = browser.client.find(Locator::Css("#token")).await.unwrap();
    field.send_keys("secret").await.unwrap();
    browser.leaves(async || browser.keys(&key_of(Key::Enter)).await).await;
    browser.eventually("the page is there", "document.querySelector('tr.event') !== null").await;
    browser.arrives("/?actor=user%3A1").await;
    assert!(browser.text(".viewer").await.contains("ada"));
    // A tenant's user sees neither others' rows nor the pages of the whole trail.
    assert!(!browser.text("main").await.contains("globex"));
    assert_eq!(browser.count("nav a[href^='/status']").await, 0);
    browser.follow(Locator::Css(".viewer button")).await;
    assert_eq!(browser.text("h1").await, "Log in");
}
