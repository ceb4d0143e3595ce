//! The server reads no more rows for a question than its answer is worth, over several months.
//!
//! A module of the server writes the plan of each statement into its log, with the rows that were
//! read. So every statement of the library and the command is seen, whoever sends it.

use audit_runtime::trail::{Cursor, EventFilter, Trail};
use audit_runtime::{Audit, Event, Outcome};
use chrono::{TimeDelta, Utc};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::future::Future;
use std::process::Command;
use std::time::Duration;
use tests::examples::audit_trail;
use tests::{Cluster, Config, Database, eventually};
use uuid::Uuid;

const ROWS: u64 = 120_000;

/// Four months, so that each question has several partitions to choose from.
const FILL: &str = "
    CREATE FUNCTION uuid(kind int, n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
        AS $$ SELECT (lpad(to_hex(kind), 8, '0') || lpad(to_hex(n), 24, '0'))::uuid $$;
    INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, outcome,
        correlation_id, causation_id, targets, tenant, origin, batch_id)
    SELECT uuid(1, n), (ARRAY['order.submitted', 'order.filled', 'risk.evaluated', 'position.updated'])[1 + n % 4], 'order',
        uuid(2, n / 10), 'user:' || n % 100,
        jsonb_build_object('order_id', uuid(2, n / 10), 'recommendation_id', uuid(3, n / 10), 'number', n),
        now() - n * interval '1 minute', CASE n % 100 WHEN 0 THEN 'error' ELSE 'ok' END, uuid(4, n / 10), uuid(1, n / 10 * 10),
        jsonb_build_array(jsonb_build_object('type', 'account', 'id', uuid(5, n / 20))), 'tenant ' || n % 50, 'desk@a:1',
        CASE WHEN n % 100 > 0 THEN uuid(6, n / 1000) END
    FROM generate_series(1::bigint, 120000) n;";

struct Logged {
    cluster: Cluster,
    database: Database,
}

/// The cost of one question: the rows that were read, those that were found, and the plans.
struct Cost {
    read: u64,
    found: u64,
    plans: String,
}

impl Logged {
    /// Nothing if this PostgreSQL came without the module.
    async fn start() -> Option<Self> {
        let settings = "session_preload_libraries = 'auto_explain'\nauto_explain.log_min_duration = 0\nauto_explain.log_analyze = on\n\
                        auto_explain.log_format = json\nauto_explain.log_timing = off\nauto_explain.log_nested_statements = on\n\
                        jit = off\nautovacuum = off\nmax_parallel_workers_per_gather = 0";
        let cluster = Cluster::prepare(Config { settings, hba: None }, |_| {});
        if !cluster.has_module("auto_explain") {
            eprintln!("skipped: this PostgreSQL came without auto_explain");
            return None;
        }
        let cluster = cluster.run();
        let database = Database::migrated_in(&cluster).await;
        sqlx::raw_sql(FILL).execute(&database.pool).await.unwrap();
        // Months before the first are made for the rows that are in the default partition.
        database.admin().make_partitions(|_| {}).await.unwrap();
        sqlx::raw_sql("VACUUM ANALYZE audit_events").execute(&database.pool).await.unwrap();
        let audit = database.audit().start().unwrap();
        audit.record(Event::new("order.opened").entity("order", 4711).target("account", 42)).unwrap();
        audit.flush().await.unwrap();
        audit.shutdown(Duration::from_secs(10)).await.unwrap();
        Some(Self { cluster, database })
    }

    async fn cost<T>(&self, asked: impl Future<Output = T>) -> Cost {
        let before = self.cluster.log_text().len();
        asked.await;
        let log = self.cluster.log_text().split_off(before);
        let mut cost = Cost { read: 0, found: 0, plans: String::new() };
        for plan in plans(&log) {
            cost.add(&plan["Plan"]);
            cost.plans.push_str(&format!("{plan:#}\n"));
        }
        cost
    }
}

/// The plans in a log: each is indented JSON behind a line that ends with `plan:`.
fn plans(log: &str) -> Vec<Value> {
    let mut plans = Vec::new();
    for text in log.split("plan:\n").skip(1) {
        let lines = text.lines().map_while(|line| line.strip_prefix('\t'));
        plans.push(serde_json::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap());
    }
    plans
}

impl Cost {
    /// Adds the scans of the events' partitions below this node of a plan.
    fn add(&mut self, node: &Value) {
        let number = |key: &str| node[key].as_f64().unwrap_or(0.0);
        let is_of_events = node["Relation Name"].as_str().is_some_and(|name| name.starts_with("audit_events"));
        if is_of_events {
            let removed = number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
            let read = (number("Actual Rows") + removed) * number("Actual Loops");
            self.read += read as u64;
            self.found += (number("Actual Rows") * number("Actual Loops")) as u64;
        }
        for child in node["Plans"].as_array().into_iter().flatten() {
            self.add(child);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_reads_as_much_as_it_answers() {
    let Some(logged) = Logged::start().await else { return };
    let database = &logged.database;
    let trail = Trail::new(database.pool.clone());
    let new = || EventFilter::new().limit(50);
    let id = |kind: u128, number: u128| Uuid::from_u128(kind << 96 | number);
    let page = async |filter: EventFilter| trail.events(&filter).await.unwrap();
    let middle = page(new().since(Utc::now() - TimeDelta::days(40)).limit(1)).await.events.remove(0);
    let hour = Utc::now() - TimeDelta::hours(1);

    let filters = [
        ("newest", new().newest_first()),
        ("oldest", new()),
        ("type", new().event("order.filled").newest_first()),
        ("types", new().event("order.*").newest_first()),
        ("type, from the middle", new().event("order.filled").after(Cursor::of(&middle))),
        ("actor", new().actor("user:7").newest_first()),
        ("tenant", new().tenant("tenant 7").newest_first()),
        ("entity by id", new().entity("order", id(2, 77)).newest_first()),
        ("entity by key", new().entity("order", 4711).newest_first()),
        ("target", new().target("account", id(5, 77)).newest_first()),
        ("target by key", new().target("account", 42).newest_first()),
        ("id", new().id(id(1, 77))),
        ("an unknown id of the library", new().id(Uuid::now_v7())),
        ("correlation", new().correlation(id(4, 77))),
        ("causation", new().causation(id(1, 770)).correlation(id(4, 77))),
        ("errors since an hour", new().event("order.submitted").outcome(Outcome::Error).since(hour)),
        ("a rare value", new().data(json!({"number": 77}))),
        ("since and until", new().since(hour).until(Utc::now())),
    ];
    for (question, filter) in filters {
        let cost = logged.cost(page(filter)).await;
        assert!(cost.read <= 2 * cost.found + 300, "{question}: {} rows read, {}", cost.read, cost.plans);
        assert!(!cost.plans.is_empty());
    }

    let trails = [
        ("order", logged.cost(trail.order(id(2, 77), None)).await),
        ("order and recommendation", logged.cost(trail.order(id(2, 77), Some(id(3, 78)))).await),
        ("entity by id", logged.cost(trail.entity("order", id(2, 77))).await),
        ("entity by key", logged.cost(trail.entity("order", 4711)).await),
        ("execution", logged.cost(trail.execution(id(2, 77), id(3, 78))).await),
        ("correlation", logged.cost(trail.correlation(id(4, 77))).await),
        ("last recorded", logged.cost(trail.last_recorded(&["order.filled".to_owned()])).await),
        ("recorded types", logged.cost(trail.recorded_types()).await),
        ("newest", logged.cost(trail.newest(new().actor("user:7"), 20).collect::<Vec<_>>()).await),
    ];
    for (question, cost) in trails {
        assert!(cost.read <= 2 * cost.found + 300, "{question}: {} rows read, {}", cost.read, cost.plans);
        assert!(cost.found > 0, "{question}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_writers_nor_followers_nor_adopters_read_what_is_stored() {
    let Some(logged) = Logged::start().await else { return };
    let database = &logged.database;
    let start = || database.audit().start().unwrap();
    let record = |audit: &Audit| (0..100).for_each(|_| drop(audit.record(Event::new("order.accepted")).unwrap()));

    let cost = logged.cost(async {
        let audit = start();
        record(&audit);
        audit.flush().await.unwrap();
        audit.shutdown(Duration::from_secs(10)).await.unwrap();
    });
    let cost = cost.await;
    assert!(cost.read < 500, "writer: {}", cost.plans);

    let cost = logged.cost(async {
        database.orphan(100).await;
        let audit = start();
        eventually("the journal is adopted", async || database.journal_directories() <= 1).await;
        audit.shutdown(Duration::from_secs(10)).await.unwrap();
    });
    let cost = cost.await;
    assert!(cost.read < 2_000, "adopter: {}", cost.plans);

    let trail = Trail::new(database.pool.clone());
    let cost = logged.cost(async {
        let mut followed = std::pin::pin!(trail.follow(EventFilter::new().event("order.cancelled")));
        let audit = start();
        audit.record(Event::new("order.cancelled")).unwrap();
        tokio::time::timeout(Duration::from_secs(20), followed.next()).await.unwrap().unwrap().unwrap();
        audit.shutdown(Duration::from_secs(10)).await.unwrap();
    });
    let cost = cost.await;
    assert!(cost.read < 3_000, "follower: {} rows, {}", cost.read, cost.plans);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_reads_as_much_as_it_prints() {
    let Some(logged) = Logged::start().await else { return };
    let order = Uuid::from_u128(2 << 96 | 77).to_string();
    let event = Uuid::from_u128(1 << 96 | 77).to_string();
    let questions: [&[&str]; 11] = [
        &["order", &order],
        &["entity", "order", "4711"],
        &["event", &event],
        &["events"],
        &["events", "--actor", "user:7"],
        &["events", "--tenant", "tenant 7"],
        &["events", "--entity", "order:4711"],
        &["events", "--target", "account:42"],
        &["events", "--event", "order.filled", "--outcome", "error", "--since", "1h"],
        &["catalogue", "--unused", "--since", "90d"],
        &["catalogue", "--unknown"],
    ];
    for arguments in questions {
        let cost = logged.cost(async {
            let mut command = Command::new(audit_trail());
            command.args(arguments).env("DATABASE_URL", &logged.database.url).output().unwrap()
        });
        let cost = cost.await;
        assert!(cost.read <= 3 * cost.found + 500, "{arguments:?}: {} rows read, {}", cost.read, cost.plans);
        assert!(!cost.plans.is_empty(), "{arguments:?}");
    }
    assert!(logged.database.events().await.cast_unsigned() >= ROWS);
}
