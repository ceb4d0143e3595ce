//! How long each kind of page takes, and how large it is.

use crate::client::Server;
use crate::month::{account, actor, order, recommendation, tenant};
use rand::prelude::*;
use sqlx::Row;
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

const REPEATS: usize = 200;
/// The pages whose time is bounded by the server, seconds each.
const FEW: usize = 10;

/// An event that some page is about.
pub struct Sample {
    pub id: Uuid,
    pub correlation: Uuid,
    pub order: u32,
}

/// Events of any time of the month.
pub async fn samples(database: &Database, number: usize) -> Vec<Sample> {
    let sql = "SELECT id, correlation_id, (data ->> 'number')::bigint / 10 FROM (SELECT min(created_at) AS a, max(created_at) - min(created_at) AS length \
               FROM audit_events) m, generate_series(1, $1::bigint), LATERAL (SELECT m.a + m.length * random() AS t) r, LATERAL (SELECT * FROM audit_events \
               WHERE created_at >= r.t AND batch_id IS NOT NULL AND correlation_id IS NOT NULL AND event_type LIKE 'order.%' ORDER BY created_at LIMIT 1) e";
    let rows = sqlx::query(sql).bind(number as i64).fetch_all(&database.pool).await.unwrap();
    rows.iter()
        .map(|row| Sample { id: row.get(0), correlation: row.get(1), order: row.get::<i64, _>(2) as u32 })
        .collect()
}

/// The path of a page about a sample.
pub fn path(page: &str, sample: &Sample) -> String {
    let random = |below: u32| rand::rng().random_range(0..below);
    let Sample { id, correlation, order: number } = sample;
    // So many hours before now.
    let ago = |hours: i64| (chrono::Utc::now() - chrono::TimeDelta::hours(hours)).format("%Y-%m-%dT%H:%M:%SZ");
    match page {
        "search" => "/".into(),
        "search, an event type" => "/?event=order.filled".into(),
        "search, a pattern of types" => "/?event=order.*".into(),
        "search, a rare type" => "/?event=order.rejected".into(),
        "search, an actor" => format!("/?actor={}", actor(number * 10 + 1)),
        "search, the most frequent actor" => "/?actor=desk".into(),
        "search, an entity by its key" => format!("/?entity=account%3A{}", account(*number)),
        "search, a further entity" => format!("/?target=account%3A{}", account(*number)),
        "search, errors" => "/?outcome=error".into(),
        "search, a tenant" => format!("/?tenant={}", tenant(random(97) * 2 + 1).replace(' ', "+")),
        "search, the largest tenant" => "/?tenant=acme".into(),
        "search, a rare value of the data" => format!("/?where=recommendation_id%3D{}", recommendation(*number)),
        "search, a frequent value of the data" => format!("/?where=ticker%3DT{}", random(500)),
        "search, a value of the context" => format!("/?context=ip%3D10.0.{}.{}", random(256), random(256)),
        "search, a value of the context, a day" => {
            let days = i64::from(random(28)) + 1;
            format!(
                "/?context=ip%3D10.0.{}.{}&since={}&until={}",
                random(256),
                random(256),
                ago(days * 24),
                ago(days * 24 - 24)
            )
        }
        "search, since an hour" => format!("/?since={}", ago(1)),
        "search, a day of a type" => {
            let days = i64::from(random(28)) + 1;
            format!("/?event=order.filled&since={}&until={}", ago(days * 24), ago(days * 24 - 24))
        }
        "search, a page from the middle" => {
            format!("/?until={}&actor=desk", ago(i64::from(random(600))))
        }
        "search, JSON" => "/events.json".into(),
        "search, counted on request" => "/?count=1".into(),
        "search, a key as text" => format!("/?find={}", order(*number)),
        "search, a text in values" => "/?find=the+desk+is+closed".into(),
        "search, a text that is nowhere" => "/?find=no+such+text".into(),
        "search, a text that is nowhere, further" => "/?find=no+such+text&look=1".into(),
        "entity" => format!("/entity/order/{}", order(*number)),
        "entity of many events" => format!("/entity/account/{}", account(*number)),
        "event, verified" => format!("/event/{id}"),
        "event, verified, JSON" => format!("/event/{id}.json"),
        "proof" => format!("/event/{id}/proof.json"),
        "correlation" => format!("/correlation/{correlation}"),
        "actor" => format!("/actor/{}", actor(number * 10 + 1)),
        "tenant" => "/tenant/acme".into(),
        "list, each event checked" => format!("/?check=1&actor={}", actor(number * 10 + 1)),
        "batches" => "/batches".into(),
        "checkpoints" => "/checkpoints".into(),
        "catalogue" => "/catalogue".into(),
        "status" => "/status".into(),
        other => panic!("{other} is not asked"),
    }
}

const PAGES: [(&str, usize); 37] = [
    ("search", REPEATS),
    ("search, JSON", REPEATS),
    ("search, an event type", REPEATS),
    ("search, a pattern of types", REPEATS),
    ("search, a rare type", REPEATS),
    ("search, an actor", REPEATS),
    ("search, the most frequent actor", REPEATS),
    ("search, an entity by its key", REPEATS),
    ("search, a further entity", REPEATS),
    ("search, errors", REPEATS),
    ("search, a tenant", REPEATS),
    ("search, the largest tenant", REPEATS),
    ("search, a rare value of the data", REPEATS),
    ("search, a frequent value of the data", REPEATS),
    ("search, a value of the context", REPEATS),
    ("search, a value of the context, a day", REPEATS),
    ("search, since an hour", REPEATS),
    ("search, a day of a type", REPEATS),
    ("search, a page from the middle", REPEATS),
    ("search, a key as text", REPEATS),
    ("search, a text in values", REPEATS),
    ("search, a text that is nowhere", REPEATS),
    ("search, a text that is nowhere, further", FEW),
    ("search, counted on request", FEW),
    ("entity", REPEATS),
    ("entity of many events", REPEATS),
    ("event, verified", REPEATS),
    ("event, verified, JSON", REPEATS),
    ("proof", REPEATS),
    ("correlation", REPEATS),
    ("actor", REPEATS),
    ("tenant", REPEATS),
    ("list, each event checked", REPEATS),
    ("batches", REPEATS),
    ("checkpoints", FEW),
    ("catalogue", FEW),
    ("status", FEW),
];

/// Asks for each page, one after the other, and prints the times.
pub async fn measure(database: &Database, server: &Server) {
    let samples = samples(database, REPEATS).await;
    println!("{:<40} {:>8} {:>8} {:>8} {:>8} {:>9}", "milliseconds", "p50", "p95", "p99", "worst", "KiB, gzip");
    for (page, repeats) in PAGES {
        let (mut times, mut largest) = (Vec::new(), 0);
        let mut others = 0;
        for sample in samples.iter().take(repeats) {
            let answer = server.get(&path(page, sample), true).await;
            if answer.status != 200 {
                others += 1;
                if others == 1 {
                    eprintln!("{page}: {}", answer.status);
                }
            }
            times.push(answer.took);
            largest = largest.max(answer.body.len());
        }
        times.sort_unstable();
        let ms = |share: f64| {
            let at = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len());
            times[at - 1].as_secs_f64() * 1e3
        };
        println!(
            "{page:<40} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>9.1}{}",
            ms(0.5),
            ms(0.95),
            ms(0.99),
            ms(1.0),
            largest as f64 / 1024.0,
            if others > 0 { format!("  {others} without an answer") } else { String::new() }
        );
    }
    verified(server, &samples).await;
    println!("the server's peak memory: {:.0} MiB", server.peak_memory());
}

/// Each sample is verified on its page, up to the signature.
async fn verified(server: &Server, samples: &[Sample]) {
    let mut slowest = Duration::ZERO;
    for sample in samples {
        let answer = server.get(&path("event, verified, JSON", sample), false).await;
        slowest = slowest.max(answer.took);
        let text = String::from_utf8_lossy(&answer.body);
        assert!(
            text.contains("\"verdict\":\"verified\"") && text.contains("\"signature\":{\"state\":\"passed\""),
            "{text}"
        );
    }
    println!(
        "{} events verified up to the signature, the slowest in {:.1} ms",
        samples.len(),
        slowest.as_secs_f64() * 1e3
    );
}
