//! Personal data that a hold needs is not forgotten.

use audit_runtime::admin::{Admin, Hold, Role};
use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Event, MasterKey};
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor};
use std::time::Duration;
use tests::Database;

/// A trail with personal data of customers 1 to 4.
async fn trail(master: &MasterKey) -> Database {
    let database = Database::new().await;
    let audit = database.audit().master_key(master.clone()).start().unwrap();
    for number in 1..5 {
        let event = Event::new("payment.made").entity("payment", number * 100).tenant(format!("tenant-{number}"));
        let subject = format!("customer:{number}");
        audit.record(event.personal(subject, &json!({"email": format!("{number}@example.com")}))).unwrap();
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    database
}

/// The e-mail addresses that can be read.
async fn readable(database: &Database, master: &MasterKey) -> Vec<String> {
    let trail = Trail::new(database.pool.clone()).master_key(master.clone());
    let events = trail.events(&EventFilter::new().event("payment.made")).await.unwrap().events;
    let mut found: Vec<String> =
        events.iter().filter_map(|event| event.data["email"].as_str().map(str::to_owned)).collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_whose_data_a_hold_keeps_is_not_forgotten_until_it_is_lifted() {
    let master = MasterKey::generate();
    let database = trail(&master).await;
    let name: String =
        sqlx::query_scalar("SELECT current_database() || '-eraser'").fetch_one(&database.pool).await.unwrap();
    database.pool.execute(AssertSqlSafe(format!("CREATE ROLE \"{name}\" LOGIN"))).await.unwrap();
    database.admin().grant(Role::Eraser, &name).await.unwrap();
    let url = database.url.replace("postgres://postgres@", &format!("postgres://{name}@"));
    let eraser = Admin::new(sqlx::PgPool::connect(&url).await.unwrap());
    let admin = database.admin();
    for (subject, hold) in [
        // The subject itself, its event by key, by tenant, and by type together with another condition.
        ("customer:1", Hold::new().entity("customer", 1)),
        ("customer:2", Hold::new().entity("payment", 200)),
        ("customer:3", Hold::new().tenant("tenant-3").event("payment.*")),
    ] {
        let id = admin.add_hold(&hold, "case 17").await.unwrap().id;
        for forgetting in [&admin, &eraser] {
            let error = forgetting.forget(subject).await.unwrap_err().to_string();
            assert!(error.contains(&id.to_string()), "{subject}: {error}");
        }
        assert_eq!(readable(&database, &master).await.len(), 4);
    }
    assert_eq!(database.events_of("audit.forgotten").await, 0);
    // No hold keeps data of this one. An unknown subject is unknown as before.
    assert!(eraser.forget("customer:4").await.unwrap().is_some());
    assert_eq!(eraser.forget("customer:5").await.unwrap(), None);
    assert_eq!(readable(&database, &master).await, ["1@example.com", "2@example.com", "3@example.com", "[erased]"]);
    for hold in admin.holds(false).await.unwrap() {
        admin.lift_hold(hold.id, "closed").await.unwrap();
    }
    for subject in ["customer:1", "customer:2", "customer:3"] {
        assert!(eraser.forget(subject).await.unwrap().is_some(), "{subject}");
    }
    assert_eq!(readable(&database, &master).await, ["[erased]"; 4]);
    database.is_unharmed().await;
}
