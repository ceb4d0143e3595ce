//! How long the pages of `audit-trail serve` take over HTTP on a trail of many rows, how large they
//! are, and what viewers cost the ingest.
//!
//! `scripts/page.sh [millions of rows]` runs it. With a URL and a public key, it measures a trail that it
//! has filled before.

#![allow(clippy::unwrap_used, reason = "a test's program fails by panicking")]

mod client;
mod ingest;
mod month;
mod pages;

use audit_runtime::evidence::SigningKey;
use client::Server;
use tests::{Cluster, Config, Database};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [url, key] = &*arguments {
        return measure(&Database::at(url), key).await;
    }
    let millions: f64 = arguments.first().map_or(1.0, |millions| millions.parse().expect("millions of rows"));
    let settings = "shared_buffers = 1GB\nmax_wal_size = 4GB\nmaintenance_work_mem = 512MB";
    let cluster = Cluster::start(Config { settings, hba: None });
    let database = Database::migrated_in(&cluster).await;
    let key = SigningKey::generate("pages").unwrap();
    month::fill(&database, (millions * 1e6) as u32, &key).await;
    measure(&database, &key.public().to_string()).await;
}

async fn measure(database: &Database, key: &str) {
    let journal = tempfile::tempdir().unwrap();
    for (words, directory) in [("in PostgreSQL", None), ("on the disk (--journal)", Some(journal.path()))] {
        println!("\neach view recorded {words} before it is shown:");
        let server = Server::start(database, key, directory);
        pages::measure(database, &server).await;
    }
    let server = Server::start(database, key, Some(journal.path()));
    ingest::measure(database, server).await;
}
