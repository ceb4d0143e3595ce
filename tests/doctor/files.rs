//! Findings about files of this machine: keys, journals, the report of a verification.

use crate::scene::{Provoked, Trail, mode};
use audit_runtime::MasterKey;
use audit_runtime::evidence::SigningKey;
use std::fs;

pub(crate) async fn key_unreadable() -> Provoked {
    let trail = Trail::healthy().await;
    trail.secret("signing.key", "PRIVATE+KEY+cut");
    trail.with([])
}

pub(crate) async fn key_mode() -> Provoked {
    let trail = Trail::healthy().await;
    mode(&trail.path("signing.key"), 0o640);
    trail.with([])
}

pub(crate) async fn key_mismatch() -> Provoked {
    let trail = Trail::healthy().await;
    let other = SigningKey::generate("audit.example.com/doctor").unwrap();
    trail.instead("--public-key", &other.public().to_string())
}

pub(crate) async fn master_key_mismatch() -> Provoked {
    let trail = Trail::healthy().await;
    trail.secret("master.key", MasterKey::generate().secret());
    trail.with([])
}

pub(crate) async fn journal_unreadable() -> Provoked {
    let trail = Trail::healthy().await;
    trail.instead("--journal", "/nowhere/journals")
}

pub(crate) async fn journal_mode() -> Provoked {
    let trail = Trail::healthy().await;
    mode(trail.database.journals.path(), 0o777);
    trail.with([])
}

pub(crate) async fn journal_disk() -> Provoked {
    let trail = Trail::healthy().await;
    trail.instead("--journal-free", "1000000000")
}

pub(crate) async fn journal_left_over() -> Provoked {
    let trail = Trail::healthy().await;
    trail.database.orphan(3).await;
    trail.with([])
}

pub(crate) async fn verification_unknown() -> Provoked {
    let trail = Trail::healthy().await;
    fs::write(trail.path("verified.json"), "{\"finding\":{}}\n").unwrap();
    trail.with([])
}

pub(crate) async fn verification_old() -> Provoked {
    let trail = Trail::healthy().await;
    let report = fs::read_to_string(trail.path("verified.json")).unwrap();
    let (before, time) = report.split_once("\"finished_at\":\"").unwrap();
    let (_, behind) = time.split_once('"').unwrap();
    fs::write(trail.path("verified.json"), format!("{before}\"finished_at\":\"2026-01-02T03:04:05Z\"{behind}"))
        .unwrap();
    trail.with([])
}

pub(crate) async fn verification_failed() -> Provoked {
    let trail = Trail::healthy().await;
    trail
        .sql("BEGIN; SET LOCAL session_replication_role = replica; UPDATE audit_events SET actor = 'nobody'; COMMIT")
        .await;
    trail.verify();
    trail.with([])
}
