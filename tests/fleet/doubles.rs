//! A relay that loses, repeats, reorders, delays and lies.

use super::relay::behind;
use super::steady::Steady;
use std::time::Duration;
use tests::{Calls, Database, Double, RelayProcess, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_double_that_loses_repeats_reorders_and_lies_costs_time_alone() {
    let database = Database::new().await;
    let relay = RelayProcess::start(&database.url);
    let double = Double::start(relay.socket(), 15, 7);
    let audit = behind(&double.address(), database.journals.path()).batch_rows(100).start().unwrap();
    let calls = Calls::begin(&audit);
    eventually("many faults are met", || async { double.met() > 25 }).await;
    double.faults(0);
    double.cut();
    calls.have_a_row_each(&audit, &database).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_adopter_sends_is_what_the_dead_process_had_sent() {
    let database = Database::new().await;
    let relay = RelayProcess::start(&database.url);
    let double = Double::start(relay.socket(), 15, 11);
    let mut made = Vec::new();
    for _ in 0..5 {
        let audit = behind(&double.address(), database.journals.path()).batch_rows(100).start().unwrap();
        let calls = Steady::begin(&audit);
        let met = double.met();
        eventually("faults are met", || async { double.met() > met + 4 }).await;
        made.extend(calls.stop());
        database.abandon(audit).await;
    }
    double.faults(0);
    double.cut();
    let audit = behind(&double.address(), database.journals.path()).start().unwrap();
    eventually("all are adopted", || async { database.journal_directories() == 1 }).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    tests::calls::have_a_row_each(&made, &database).await;
}
