//! A trail that nobody has harmed verifies.

use crate::scene::Scene;
use audit_runtime::__private::canonical_json;
use audit_runtime::Event;
use audit_runtime::evidence::SigningKey;
use futures_util::StreamExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::value::RawValue;
use sqlx::Executor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tests::Database;

#[tokio::test(flavor = "multi_thread")]
async fn forty_trails_give_no_finding() {
    let verified = futures_util::stream::iter(0..40)
        .map(|seed| async move {
            let scene = Scene::new(seed).await;
            let (findings, report) = scene.database.verify(Some(scene.key.public()), &scene.saved).await;
            assert!(findings.is_empty(), "seed {seed}: {findings:#?}");
            assert_eq!((report.problems, report.not_sealed, report.batches_since_checkpoint), (0, 0, 0), "seed {seed}");
            assert_eq!(report.rows.cast_signed(), scene.database.events().await, "seed {seed}");
            assert_eq!(report.checkpoints, 2 * scene.saved.len() as u64, "seed {seed}");
            scene.database.pool.close().await;
            (report.sealed_late, report.quarantined)
        })
        .buffer_unordered(4);
    let all: Vec<(u64, u64)> = verified.collect().await;
    let (late, quarantined) = all.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(late > 0 && quarantined > 0, "{late} sealed late, {quarantined} in the quarantine");
}

/// JSON texts as nobody would write them.
fn any_json() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?",
        Just("0.000".to_owned()),
        Just("-0".to_owned()),
        Just("1e308".to_owned()),
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
    ];
    let text = any::<String>().prop_flat_map(|text| {
        let escaped = |text: &str| -> String { text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect() };
        let (plain, escapes) = (serde_json::to_string(&text).unwrap(), format!("\"{}\"", escaped(&text)));
        prop_oneof![Just(plain), Just(escapes)]
    });
    let leaf =
        prop_oneof![Just("null".to_owned()), Just("true".to_owned()), Just(" false ".to_owned()), number, text.clone()];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        let member = (prop_oneof![text.clone(), Just("\"a\"".to_owned()), Just("\"aa\"".to_owned())], inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..8).prop_map(|values| format!("[{}]", values.join(" , "))),
            prop::collection::vec(member, 0..8).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(name, value)| format!("{name}\t: {value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_jsonb_makes_of_a_text_its_canonical_form_is_the_same() {
    let database = Database::empty().await;
    let mut runner = TestRunner::default();
    for _ in 0..100 {
        let texts: Vec<String> = (0..50).map(|_| any_json().new_tree(&mut runner).unwrap().current()).collect();
        // A value that PostgreSQL refuses has no form that PostgreSQL could change.
        let texts: Vec<String> = texts.into_iter().filter(|text| !text.contains("\\u0000")).collect();
        let read: Vec<String> =
            sqlx::query_scalar("SELECT t::jsonb::text FROM unnest($1::text[]) WITH ORDINALITY AS u(t, n) ORDER BY n")
                .bind(&texts)
                .fetch_all(&database.pool)
                .await
                .unwrap();
        for (sent, read) in texts.iter().zip(&read) {
            let canonical = canonical_json(sent);
            assert!(canonical.is_some() && canonical == canonical_json(read), "{sent}\n{read}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_as_it_is_read_has_the_canonical_form_of_the_row_as_it_was_sent() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let mut runner = TestRunner::default();
    for _ in 0..3_000 {
        let json = any_json().new_tree(&mut runner).unwrap().current();
        let data = RawValue::from_string(format!("{{\"any\": {json}, \"x\": {json}}}")).unwrap();
        audit.record(Event::new("json.recorded").data(&data)).unwrap();
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    // A refused row is sealed in the form it would have had.
    let report = database.is_unharmed().await;
    assert_eq!(report.rows + report.quarantined, 3_000);
    assert!(report.rows > 2_900, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_at_the_ends_of_time_are_sealed_as_they_are_stored() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    for time in [
        chrono::DateTime::<chrono::Utc>::MIN_UTC,
        chrono::DateTime::<chrono::Utc>::MAX_UTC,
        chrono::DateTime::UNIX_EPOCH,
    ] {
        audit.record_at(Event::new("time.told"), time).unwrap();
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    for time in ["infinity", "-infinity", "294276-12-31 23:59:59.999999+00", "4713-01-01 00:00:00+00 BC"] {
        let insert = "INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES (gen_random_uuid(), 'time.told', 'x', $1::timestamptz)";
        sqlx::query(insert).bind(time).execute(&database.pool).await.unwrap();
    }
    database.admin().checkpoint(&SigningKey::generate("test").unwrap()).await.unwrap();
    let report = database.is_unharmed().await;
    assert_eq!((report.rows + report.quarantined, report.sealed_late, report.not_sealed), (7, 4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_is_written_to_meanwhile_verifies_too() {
    let database = Database::new().await;
    let audit = database.audit().batch_rows(20).start().unwrap();
    let key = SigningKey::generate("test").unwrap();
    let ended = AtomicBool::new(false);
    let writing = async {
        while !ended.load(Ordering::Relaxed) {
            for number in 0..200 {
                audit.record(Event::new("a.thing").data(&serde_json::json!({"number": number}))).unwrap();
            }
            audit.flush().await.unwrap();
        }
    };
    let checkpoints = async {
        while !ended.load(Ordering::Relaxed) {
            database.admin().checkpoint(&key).await.unwrap();
        }
    };
    let verifying = async {
        for _ in 0..20 {
            let (findings, _) = database.verify(None, &[]).await;
            assert!(findings.is_empty(), "{findings:#?}");
        }
        ended.store(true, Ordering::Relaxed);
    };
    futures_util::join!(writing, checkpoints, verifying);
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_made_although_others_never_stop_to_insert() {
    let database = Database::new().await;
    let key = SigningKey::generate("test").unwrap();
    let ended = AtomicBool::new(false);
    let inserting = async {
        while !ended.load(Ordering::Relaxed) {
            let insert =
                "INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.thing', 'a')";
            database.pool.execute(insert).await.unwrap();
        }
    };
    let checkpoint = async {
        for _ in 0..5 {
            database.admin().checkpoint(&key).await.unwrap();
        }
        ended.store(true, Ordering::Relaxed);
    };
    futures_util::join!(inserting, checkpoint);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_trail_has_nothing_wrong_with_it() {
    let database = Database::new().await;
    let report = database.is_unharmed().await;
    assert_eq!((report.rows, report.batches, report.checkpoints), (0, 0, 0));
    let key = SigningKey::generate("test").unwrap();
    let first = database.admin().checkpoint(&key).await.unwrap();
    let second = database.admin().checkpoint(&key).await.unwrap();
    assert_eq!((first.batches, second.batches, second.new_batches), (0, 0, 0));
    let (findings, report) = database.verify(Some(key.public()), &[first.note, second.note]).await;
    assert!(findings.is_empty(), "{findings:#?}");
    assert_eq!((report.checkpoints, report.signatures), (4, 4));
}
