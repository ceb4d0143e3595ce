//! A tenant's user sees the tenant through the wall of the database, whatever is asked.

use crate::scene::{key, record};
use crate::server::{Answer, Page, sent};
use crate::tail::read_until;
use audit_runtime::evidence::SigningKey;
use audit_runtime::{Context, Event};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tests::Database;
use tests::examples::audit_trail;
use uuid::Uuid;

/// A text that only events of others contain.
const FOREIGN: &str = "seen-elsewhere";
/// The request that events of all share.
const SHARED: Uuid = Uuid::from_u128(0xcc);

/// Events of two tenants and of none about the same things, in one request and in one batch, and a
/// login of each tenant.
struct Scene {
    database: Database,
    directory: TempDir,
    key: SigningKey,
    name: String,
}

impl Scene {
    async fn new() -> Self {
        let (database, key) = (Database::new().await, key());
        record(&database, |audit| {
            let _entered = audit.enter();
            let _context = Context::new().correlation(SHARED).attribute("ip", "10.0.0.7").enter();
            for number in 0..90_i64 {
                let tenant = ["acme", "globex", ""][number as usize % 3];
                let words = if tenant == "acme" { "ours".to_owned() } else { format!("{FOREIGN}-{number}") };
                let event = Event::new("account.credited").entity("account", number % 5).target("invoice", number % 7);
                let event =
                    event.actor(format!("user:{}", number % 4)).data(&json!({"cents": number, "words": words, "a": 1}));
                let event = if tenant.is_empty() { event } else { event.tenant(tenant) };
                // Those of others began earlier, and go on later.
                let at = if tenant == "acme" { 10_000 + number } else { number * 1_000 };
                audit.record_at(event, crate::scene::at(at)).unwrap();
            }
        })
        .await;
        // An event of each is within a call of the other.
        let linked = "INSERT INTO audit_events (id, event_type, entity_type, data, tenant, causation_id, correlation_id, created_at) SELECT gen_random_uuid(), 'note.linked', 'note', \
                      jsonb_build_object('a', 1, 'words', CASE e.tenant WHEN 'acme' THEN 'seen-elsewhere-linked' ELSE 'ours' END), CASE e.tenant WHEN 'acme' THEN 'globex' ELSE 'acme' END, \
                      e.id, e.correlation_id, e.created_at + interval '6 hours' FROM audit_events e WHERE (data ->> 'cents')::int IN (0, 1)";
        sqlx::raw_sql(linked).execute(&database.pool).await.unwrap();
        database.admin().checkpoint(&key).await.unwrap();
        let name: String =
            sqlx::query_scalar("SELECT current_database()::text").fetch_one(&database.pool).await.unwrap();
        for tenant in ["acme", "globex"] {
            let role = format!("{name}_{tenant}");
            sqlx::raw_sql(AssertSqlSafe(format!("CREATE ROLE {role} LOGIN"))).execute(&database.pool).await.unwrap();
            database.admin().assign_tenant(&role, tenant).await.unwrap();
        }
        Self { database, directory: tempfile::tempdir().unwrap(), key, name }
    }

    /// The URL of a login.
    fn login(&self, tenant: &str) -> String {
        self.database.url.replace("postgres://postgres@", &format!("postgres://{}_{tenant}@", self.name))
    }

    /// The access file of one user, with a login.
    fn access(&self, tenants: &str, url: &str) -> String {
        let path = self.directory.path().join("access.toml");
        let hash = hex::encode(Sha256::digest("tim's"));
        let text = format!(
            "[[user]]\nname = \"tim\"\ntoken_sha256 = \"{hash}\"\nroles = [\"view\", \"export\", \"reveal\"]\ntenants = {tenants}\ndatabase_url = \"{url}\"\n"
        );
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn page(&self) -> Page {
        let access = self.access("[\"acme\"]", &self.login("acme"));
        Page::start(&self.database, &["--access", &access, "--public-key", &self.key.public().to_string()])
    }

    /// A batch with events of all.
    async fn batch(&self) -> Uuid {
        let sql = "SELECT batch_id FROM audit_events WHERE tenant = 'acme' AND batch_id IS NOT NULL LIMIT 1";
        sqlx::query_scalar(sql).fetch_one(&self.database.pool).await.unwrap()
    }

    /// The ids of the events of a tenant, or of all others.
    async fn ids(&self, is_acme: bool) -> Vec<Uuid> {
        let sql = "SELECT id FROM audit_events WHERE (tenant IS NOT DISTINCT FROM 'acme') = $1 AND event_type NOT LIKE 'audit.%' ORDER BY created_at";
        sqlx::query_scalar(sql).bind(is_acme).fetch_all(&self.database.pool).await.unwrap()
    }
}

async fn get(page: &Page, path: &str) -> Answer {
    sent(page.request(path).bearer_auth("tim's")).await
}

/// The events of a list, which is there.
async fn events(page: &Page, path: &str) -> Vec<Value> {
    let answer = get(page, path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    let list: Value = serde_json::from_str(&answer.text).unwrap();
    list["events"].as_array().unwrap().iter().map(|entry| entry["event"].clone()).collect()
}

#[tokio::test]
async fn no_filter_page_or_link_shows_an_event_of_others() {
    let scene = Scene::new().await;
    let page = scene.page();
    let (ours, others) = (scene.ids(true).await, scene.ids(false).await);
    let batch = scene.batch().await;
    let cursor = |id: Uuid| format!("older={}.{id}", crate::scene::at(80_000).unix_micros().unwrap());
    let mut queries: Vec<String> = [
        "",
        "tenant=acme",
        "tenant=globex",
        "tenant=%2A",
        "tenant=acme&tenant=globex",
        "event=%2A",
        "event=account.%2A",
        "event=audit.%2A",
        "own=1",
        "actor=user%3A1",
        "entity=account%3A1",
        "entity_type=account",
        "target=invoice%3A1",
        "outcome=ok",
        "outcome=ok&outcome=error",
        "where=a%3D1",
        "where=a%3D1&where=cents%3D1",
        "context=ip%3D10.0.0.7",
        "since=2026-01-01",
        "until=2027-01-01",
        "origin=%2A",
        "order=oldest",
        "check=1",
        "find=account.credited",
        "find=user%3A1",
        "find=seen-elsewhere",
        "find=globex",
        "find=1",
        "in=values&find=account.credited",
        "in=values&find=seen-elsewhere",
        "in=keys&find=globex",
        "in=values&find=globex",
        "in=values&find=1",
        "where=tenant%3Dglobex",
        "where=words%3Dseen-elsewhere-1",
    ]
    .map(str::to_owned)
    .into();
    queries.push(format!("correlation={SHARED}"));
    queries.push(format!("batch={batch}"));
    queries.push(cursor(others[40]));
    for id in &others[..3] {
        queries.extend([
            format!("causation={id}"),
            format!("find={id}"),
            format!("entity_id={id}"),
            format!("correlation={id}"),
        ]);
    }
    let mut seen = 0;
    for query in &queries {
        for event in events(&page, &format!("/events.json?{query}")).await {
            assert_eq!(event["tenant"], "acme", "{query}: {event}");
            seen += 1;
        }
        for path in [
            "/",
            "/actor/user:1",
            "/entity/account/1",
            "/entity/invoice/1",
            "/tenant/acme",
            "/tenant/globex",
            &format!("/correlation/{SHARED}"),
        ] {
            if path != "/" && query.contains("find=") {
                continue;
            }
            let shown = get(&page, &format!("{path}?{query}&count=1")).await;
            let shown =
                if shown.status == StatusCode::SEE_OTHER { get(&page, shown.header("location")).await } else { shown };
            assert_eq!(shown.status, StatusCode::OK, "{path}?{query}: {}", shown.text);
            // The form and the links repeat the question.
            let told = shown.text.replace(query.split('=').next_back().unwrap_or_default(), "");
            let told = if query.contains(FOREIGN) { told.replace(FOREIGN, "") } else { told };
            assert!(!told.contains(FOREIGN), "{path}?{query}");
            let rows = shown.text.matches("<tr class=\"event\"").count();
            let ours = ours.iter().filter(|id| shown.text.contains(&format!("data-id=\"{id}\""))).count();
            assert_eq!(rows, ours, "{path}?{query}");
        }
        if !query.contains("find=") {
            for form in ["ndjson", "csv", "cloudevents"] {
                let exported = get(&page, &format!("/export.{form}?{query}")).await;
                assert_eq!(exported.status, StatusCode::OK, "{query}: {}", exported.text);
                assert!(!exported.text.contains(FOREIGN), "{form} {query}");
                assert!(
                    !others.iter().any(|id| exported.text.lines().any(|line| line.starts_with(&id.to_string()))),
                    "{form} {query}"
                );
            }
        }
    }
    assert!(seen > 300, "{seen}");
    for id in &others[..5] {
        for path in [
            format!("/event/{id}"),
            format!("/event/{id}.json"),
            format!("/event/{id}/proof.json"),
            format!("/event/{id}/reveal?reason=curious"),
        ] {
            let answer = get(&page, &path).await;
            assert!(matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN), "{path}: {}", answer.text);
            assert!(!answer.text.contains(FOREIGN), "{path}: {}", answer.text);
        }
    }
    for path in [
        "/batches",
        "/checkpoints",
        "/checkpoint/1",
        "/status",
        "/catalogue",
        "/catalogue.json",
        &format!("/batch/{batch}"),
        &format!("/batch/{batch}.json"),
    ] {
        assert_eq!(get(&page, path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_tenants_user_has_counts_evidence_and_proofs_of_the_tenant() {
    let scene = Scene::new().await;
    let page = scene.page();
    let ours = scene.ids(true).await;
    assert_eq!(events(&page, "/events.json").await.len(), 31);
    assert_eq!(events(&page, "/entity/account/1.json").await.len(), 6);
    let shown = get(&page, "/?count=1").await.text;
    assert!(shown.contains("<strong>31</strong> events by the time at which they began"), "{shown}");
    assert!(!shown.contains("globex"), "{shown}");
    // The first of others began at nine, and the first of the tenant at 11:46:40.
    let shown = get(&page, "/?count=1&until=2026-05-05T00%3A00%3A00Z").await.text;
    assert!(shown.contains("2026-05-04 <span class=\"clock\">11:30:00") && !shown.contains("09:00:00"), "{shown}");
    let event: Value = serde_json::from_str(&get(&page, &format!("/event/{}.json", ours[3])).await.text).unwrap();
    assert_eq!(
        (&event["evidence"]["verdict"], &event["evidence"]["signature"]["state"]),
        (&json!("verified"), &json!("passed"))
    );
    let shown = get(&page, &format!("/event/{}", ours[3])).await.text;
    assert!(
        !shown.contains(FOREIGN) && !shown.contains("href=\"/batch/") && !shown.contains("href=\"/checkpoint/"),
        "{shown}"
    );
    let proof = get(&page, &format!("/event/{}/proof.json", ours[3])).await;
    assert!(proof.status == StatusCode::OK && !proof.text.contains(FOREIGN), "{}", proof.text);
    let file = scene.directory.path().join("proof.json");
    std::fs::write(&file, proof.text).unwrap();
    let verified = Command::new(audit_trail())
        .args(["verify", "--proof"])
        .arg(&file)
        .args(["--public-key", &scene.key.public().to_string()])
        .status();
    assert!(verified.unwrap().success());
}

#[tokio::test]
async fn the_database_and_not_the_servers_filter_is_the_wall() {
    let scene = Scene::new().await;
    let page = scene.page();
    let ours = scene.ids(true).await;
    // From now on the login is one of globex. The filter still selects events of acme.
    scene.database.admin().assign_tenant(&format!("{}_acme", scene.name), "globex").await.unwrap();
    let batch = scene.batch().await;
    for path in [
        "/events.json".to_owned(),
        "/events.json?find=account.credited".into(),
        "/events.json?find=ours".into(),
        "/events.json?in=values&find=ours".into(),
        "/entity/account/1.json".into(),
        "/entity/invoice/1.json".into(),
        "/actor/user:1.json".into(),
        "/tenant/acme.json".into(),
        format!("/correlation/{SHARED}.json"),
        format!("/events.json?batch={batch}"),
    ] {
        assert_eq!(events(&page, &path).await, [Value::Null; 0], "{path}");
    }
    for id in &ours {
        for path in [format!("/event/{id}.json"), format!("/event/{id}/proof.json")] {
            assert_eq!(get(&page, &path).await.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
    assert_eq!(get(&page, "/export.ndjson").await.text.lines().count(), 1);
    let counted = get(&page, "/?count=1&since=2026-05-04&until=2026-05-06").await.text;
    assert!(!counted.contains("class=\"facet\"") && !counted.contains("<strong>31</strong>"), "{counted}");
}

#[tokio::test]
async fn a_tail_brings_events_of_the_tenant_alone() {
    let scene = Scene::new().await;
    let page = scene.page();
    let tail = page.request("/tail").bearer_auth("tim's").send().await.unwrap();
    assert_eq!(tail.status(), StatusCode::OK);
    let arriving = async {
        loop {
            record(&scene.database, |audit| {
                for (tenant, words) in [("globex", FOREIGN), ("acme", "ours")] {
                    let event = Event::new("note.left").tenant(tenant).data(&json!({"words": words}));
                    drop(audit.record(event).unwrap());
                }
            })
            .await;
        }
    };
    let reading = tokio::spawn(read_until(tail, "note.left"));
    let told = tokio::select! {
        told = reading => told.unwrap(),
        () = arriving => unreachable!(),
    };
    assert!(told.contains("ours") && !told.contains(FOREIGN) && !told.contains("globex"), "{told}");
}

#[tokio::test]
async fn a_login_that_is_no_wall_keeps_the_server_from_starting() {
    let scene = Scene::new().await;
    let refused = |tenants: &str, url: &str| {
        let mut command = Command::new(audit_trail());
        command.args(["serve", "--listen", "127.0.0.1:0", "--access", &scene.access(tenants, url)]);
        let output = command.env("DATABASE_URL", &scene.database.url).stdout(Stdio::null()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    for (tenants, url, words) in [
        ("[\"acme\"]", scene.database.url.clone(), "may read audit_events"),
        ("[\"acme\"]", scene.login("globex"), "sees the events of tenant \"globex\""),
        ("[\"acme\", \"globex\"]", scene.login("acme"), "login of one tenant"),
        ("[\"acme\"]", scene.login("nobody"), "check the user"),
    ] {
        let said = refused(tenants, &url);
        assert!(said.contains(words), "{words}: {said}");
    }
}
