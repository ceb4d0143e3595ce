//! The auditor's six questions of docs/auditors.md: by clicks without script, and by keys alone as a
//! tenant's user.

use crate::browser::{Browser, Settings, is_there};
use crate::scene::{at, key, record};
use crate::server::Page;
use audit_runtime::{Audit, Event};
use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::{Value, json};
use tests::Database;

/// Events of the accounts service, with another tenant's events between, older than a page shows.
async fn accounts_service() -> (Database, audit_runtime::evidence::SigningKey) {
    let (database, key) = (Database::new().await, key());
    let by = |audit: &Audit, second: i64, event: Event, actor: &str, data: &Value| {
        audit.record_at(event.actor(actor).tenant("acme").data(data), at(second)).unwrap();
    };
    record(&database, |audit| {
        let (kim, lee) = ("user:kim", "user:lee");
        by(audit, 0, Event::new("customer.registered").entity("customer", 1), kim, &json!({"plan": "basic"}));
        by(audit, 1, Event::new("account.opened").entity("account", 1).target("customer", 1), kim, &json!({}));
        let limit =
            json!({"changes": {"account": {"limit_cents": {"from": 100, "to": 500}}}, "reason": "support case 17"});
        by(audit, 2, Event::new("limit.changed").entity("account", 1).target("customer", 1), kim, &limit);
        by(audit, 3, Event::new("invoice.issued").entity("invoice", "INV-2026-0007"), kim, &json!({"cents": 900}));
        by(audit, 4, Event::new("customer.viewed").entity("customer", 1), lee, &json!({"reason": "a call"}));
        by(audit, 6, Event::new("invoice.settled").entity("invoice", "INV-2026-0007"), lee, &json!({"cents": 900}));
        for number in 0..150 {
            let event = Event::new("note.left").entity("note", number).tenant("globex").actor("user:mia");
            audit.record_at(event, at(10 + number)).unwrap();
        }
    })
    .await;
    let refused = "INSERT INTO audit_events (id, event_type, entity_type, entity_key, actor, tenant, outcome, duration_us, created_at, data) VALUES \
        (gen_random_uuid(), 'transfer.refused', 'account', '1', 'user:kim', 'acme', 'error', 74, '2026-05-04 09:00:05Z', \
        '{\"cents\": 900, \"error\": {\"message\": \"balance and limit are 500 cents, less than 900\", \"causes\": [\"the limit is low\"]}}')";
    sqlx::raw_sql(refused).execute(&database.pool).await.unwrap();
    database.admin().checkpoint(&key).await.unwrap();
    (database, key)
}

/// A person at the browser, with a mouse or with keys alone.
struct Person {
    browser: Browser,
    has_mouse: bool,
}

impl Person {
    /// Goes on by the Tab key until the focus is on what matches.
    async fn tab_to(&self, css: &str) {
        let tab = char::from(Key::Tab).to_string();
        for _ in 0..250 {
            if self.browser.count(&format!(":is({css}):focus")).await == 1 {
                return;
            }
            match self.browser.client.active_element().await {
                Ok(element) => element.send_keys(&tab).await.unwrap(),
                Err(_) => self.browser.client.find(Locator::Css("body")).await.unwrap().send_keys(&tab).await.unwrap(),
            }
        }
        panic!("no key leads to {css}");
    }

    async fn write(&self, field: &str, text: &str) {
        if self.has_mouse {
            let field = self.browser.client.find(Locator::Css(field)).await.unwrap();
            field.send_keys(text).await.unwrap();
        } else {
            self.tab_to(field).await;
            self.browser.keys(text).await;
        }
    }

    async fn follow(&self, css: &str) {
        if self.has_mouse {
            self.browser.follow(Locator::Css(css)).await;
        } else {
            self.tab_to(css).await;
            self.browser.leaves(async || self.browser.keys(&char::from(Key::Enter).to_string()).await).await;
        }
    }

    /// Fills the form anew, sends it, and returns the list.
    async fn search(&self, fields: &[(&str, &str)], end: &str) -> String {
        self.follow("a.brand").await;
        for (field, text) in fields {
            self.write(field, text).await;
        }
        self.follow("#search button.primary").await;
        self.browser.arrives(end).await;
        self.browser.text("main").await
    }

    async fn open_first(&self) -> String {
        self.follow("tr.event a.open").await;
        tests::eventually("the event opens", async || self.browser.count("section.evidence").await == 1).await;
        self.browser.text("main").await
    }

    /// Asks the six questions.
    async fn ask(&self) {
        // What happened to invoice INV-2026-0007?
        let list = self.search(&[("#entity", "invoice:INV-2026-0007")], "/?entity=invoice%3AINV-2026-0007").await;
        assert!(
            list.contains("2 events") && list.contains("invoice.issued") && list.contains("invoice.settled"),
            "{list}"
        );
        // What is on record about customer 1?
        self.search(&[("#entity", "customer:1")], "/?entity=customer%3A1").await;
        self.follow("tr.event td.entity a").await;
        self.browser.arrives("/entity/customer/1").await;
        let list = self.browser.text("main").await;
        for event in ["customer.registered", "account.opened", "limit.changed", "customer.viewed"] {
            assert!(list.contains(event), "{event}: {list}");
        }
        // Who looked at customer 1 in a week?
        let asked = [("#event", "customer.viewed"), ("#entity", "customer:1"), ("#since", "2026-05-01")];
        let list =
            self.search(&asked, "/?event=customer.viewed&entity=customer%3A1&since=2026-05-01T00%3A00%3A00Z").await;
        assert!(list.contains("1 event,") && list.contains("user:lee") && list.contains("a call"), "{list}");
        // What did tenant acme do?
        let list = self.search(&[("#tenant", "acme")], "/?tenant=acme").await;
        assert!(list.contains("7 events") && !list.contains("note.left"), "{list}");
        // Why was the transfer refused?
        self.search(&[("#event", "transfer.refused")], "/?event=transfer.refused").await;
        let event = self.open_first().await;
        assert!(
            event.contains("balance and limit are 500 cents") && event.contains("because the limit is low"),
            "{event}"
        );
        // Who changed the limit from 100 to 500, and why?
        let asked = [("#event", "limit.changed"), ("#entity", "account:1")];
        self.search(&asked, "/?event=limit.changed&entity=account%3A1").await;
        let event = self.open_first().await;
        assert!(event.contains("limit_cents was 100, is 500") && event.contains("by user:kim"), "{event}");
        assert!(event.contains("support case 17") && event.contains("Evidence: verified"), "{event}");
    }
}

#[tokio::test]
async fn clicks_alone_answer_them_without_script() {
    if !is_there() {
        return;
    }
    let (database, key) = accounts_service().await;
    let page = Page::start(&database, &["--public-key", &key.public().to_string()]);
    let browser = Browser::start(Settings { script: false, ..Settings::default() }).await;
    browser.open(&page.url).await;
    let person = Person { browser, has_mouse: true };
    person.ask().await;
    // And who has looked at the page itself?
    person.follow("footer a").await;
    let list = person.browser.text("main").await;
    assert!(list.contains("audit.viewed") && list.contains("ann (on this machine)"), "{list}");
    assert_eq!(person.browser.reports().await, [""; 0]);
}

#[tokio::test]
async fn keys_alone_answer_them_for_a_tenants_user() {
    if !is_there() {
        return;
    }
    let (database, key) = accounts_service().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("access.toml");
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b"secret"));
    let user = "[[user]]\nname = \"tim\"\nroles = [\"view\"]\ntenants = [\"acme\"]";
    std::fs::write(&file, format!("{user}\ntoken_sha256 = \"{hash}\"\n")).unwrap();
    let page = Page::start(&database, &["--access", file.to_str().unwrap(), "--public-key", &key.public().to_string()]);
    let browser = Browser::start(Settings::default()).await;
    browser.open(&page.url.replace("127.0.0.1", "localhost")).await;
    let person = Person { browser, has_mouse: false };
    person.write("#token", "secret").await;
    person.follow("form.login button").await;
    tests::eventually("the page is there", async || person.browser.count("#search").await == 1).await;
    person.ask().await;
    // Of the other tenant there is nothing, whichever way is taken.
    let list = person.search(&[("#tenant", "globex")], "/?tenant=globex").await;
    assert!(list.contains("No event matches") && !list.contains("note.left"), "{list}");
    let list = person.search(&[("#find", "note")], "/?find=note").await;
    assert!(!list.contains("note.left"), "{list}");
}
