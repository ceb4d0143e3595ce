//! Ten thousand random documents through every way into a row, and through every way out.

use crate::printed;
use audit_runtime::testing::Probe;
use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{AuditEvent, Context, Event, Json, MasterKey, audited};
use futures_util::TryStreamExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::Row;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

const CASES: usize = 4_000;

/// A number as JSON has it: doubles by their bits, integers of up to 300 digits, exponents of up
/// to 500.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |n| n.is_finite()).prop_map(|n| json(&n)),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| json(&n)),
        any::<f32>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| json(&n)),
        any::<i128>().prop_map(|n| n.to_string()),
        (any::<bool>(), "0|[1-9][0-9]{0,300}").prop_map(|(minus, digits)| format!("{}{digits}", sign(minus))),
        (any::<bool>(), "0|[1-9][0-9]{0,20}", "\\.[0-9]{1,40}", "([eE][-+]?[1-4]?[0-9]{1,2})?")
            .prop_map(|(minus, whole, fraction, exponent)| format!("{}{whole}{fraction}{exponent}", sign(minus))),
        Just("199.39999999999998".to_owned()),
        Just("9007199254740991.0".to_owned()),
        Just("1e400".to_owned()),
        Just(format!("{}", f64::MAX)),
    ]
}

fn sign(minus: bool) -> &'static str {
    if minus { "-" } else { "" }
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

/// A text without NUL, which PostgreSQL cannot store, and without words, which may denote secrets.
/// Another test covers masks.
fn text() -> impl Strategy<Value = String> {
    let random = prop_oneof!["[ -~]{0,12}", "[\u{1}-\u{7f}]{0,8}", any::<String>()].prop_map(|text: String| {
        let other = |c: char| if c.is_alphanumeric() && c != 'ä' { 'q' } else { c };
        text.replace('\0', "\u{fffd}").replace(':', ";").chars().map(other).collect()
    });
    let chosen = vec!["a.b", "$error", "$personal", "\\u00e4", "\"", "[0]", "", "\u{202e}x", "=1+1", "😀", "ä"];
    prop_oneof![random, prop::sample::select(chosen).prop_map(str::to_owned)]
}

/// A key that names no value beside it.
fn key() -> impl Strategy<Value = String> {
    text().prop_map(|text| format!("x {text}"))
}

fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        1 => Just("null".to_owned()),
        1 => any::<bool>().prop_map(|value| value.to_string()),
        3 => number(),
        1 => text().prop_map(|text| json(&text)),
    ];
    let nested = leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(" , "))),
            prop::collection::vec((key(), inner), 0..4).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{}: {value}", json(name))).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    prop_oneof![
        9 => nested,
        1 => (number(), 1..90_usize).prop_map(|(number, levels)| {
            format!("{}{number}{}", "[".repeat(levels), "]".repeat(levels))
        }),
    ]
}

fn documents() -> Vec<Box<RawValue>> {
    let mut runner = TestRunner::new(Config::with_cases(CASES as u32));
    let document = document();
    (0..CASES).map(|_| RawValue::from_string(document.new_tree(&mut runner).unwrap().current()).unwrap()).collect()
}

#[audited(event = "way.argument", id = None::<Uuid>, result = skip)]
fn argument(n: u32, doc: &RawValue) {}

#[audited(event = "way.result", id = None::<Uuid>)]
fn result<'a>(n: u32, given: Skipped<'a>) -> &'a RawValue {
    given.0
}

/// Captured as nothing.
struct Skipped<'a>(&'a RawValue);

impl Serialize for Skipped<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

#[audited(event = "way.field", id = None::<Uuid>, skip(given), fields(doc = given.0))]
fn field(n: u32, given: Skipped<'_>) {}

#[audited(event = "way.masked", id = None::<Uuid>)]
fn masked(n: u32, holder: &RawValue) {}

#[audited(event = "way.plain", id = None::<Uuid>, result = skip)]
fn context_attribute(n: u32) {}

#[audited(event = "way.personal", id = None::<Uuid>, personal(doc), subject = "customer:1")]
fn personal(n: u32, doc: &RawValue) {}

#[audited(event = "way.changed", id = None::<Uuid>, changes(doc), only(n))]
fn changed(n: u32, doc: &mut Box<RawValue>) {
    *doc = RawValue::from_string("\"another\"".into()).unwrap();
}

#[derive(AuditEvent)]
#[audit(event = "way.derived", entity = "way", id = None::<Uuid>)]
struct Derived<'a> {
    n: u32,
    doc: &'a RawValue,
}

/// Records each document by every way, and under the mask of an application.
fn record(audit: &audit_runtime::Audit, documents: &[Box<RawValue>]) {
    for (n, doc) in documents.iter().enumerate() {
        let n = n as u32;
        let entered = audit.enter();
        argument(n, doc);
        result(n, Skipped(doc));
        field(n, Skipped(doc));
        masked(n, &RawValue::from_string(format!("{{\"password\":1,\"doc\":{doc}}}")).unwrap());
        personal(n, doc);
        changed(n, &mut doc.clone());
        drop(entered);
        audit.record(Derived { n, doc }).unwrap();
        audit
            .record(Event::new("way.by_hand").data(&BTreeMap::from([("n", Doc::Number(n)), ("doc", Doc::Raw(doc))])))
            .unwrap();
        let _context = Context::new().attribute("doc", doc).enter();
        let _entered = audit.enter();
        context_attribute(n);
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Doc<'a> {
    Number(u32),
    Raw(&'a RawValue),
}

/// The expression of SQL by which the document of each way is found again.
const WAYS: [(&str, &str); 8] = [
    ("way.argument", "data->'doc'"),
    ("way.result", "data->'result'"),
    ("way.field", "data->'doc'"),
    ("way.masked", "data->'holder'->'doc'"),
    ("way.derived", "data->'doc'"),
    ("way.by_hand", "data->'doc'"),
    ("way.plain", "context->'doc'"),
    ("way.changed", "data->'changes'->'doc'->'from'"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_digit_survives_every_way_in_and_every_way_out() {
    let database = Database::new().await;
    let documents = documents();
    let master = MasterKey::generate();
    let builder = database.audit().segment_bytes(16 << 20).mask(["iban"]).master_key(master.clone());
    let audit = builder.start().unwrap();
    record(&audit, &documents);
    let report = audit.shutdown(Duration::from_secs(300)).await.unwrap();
    assert_eq!((report.left_in_journal, report.refused), (0, 0));
    assert_eq!(database.count("SELECT count(*) FROM audit_quarantine").await, 0);
    assert_eq!(database.events().await as usize, CASES * 9);

    let texts: Vec<String> = documents.iter().map(|doc| doc.get().to_owned()).collect();
    sqlx::raw_sql("CREATE TABLE given (n int PRIMARY KEY, doc text)").execute(&database.pool).await.unwrap();
    sqlx::query("INSERT INTO given SELECT row_number() OVER () - 1, doc FROM unnest($1::text[]) doc")
        .bind(&texts)
        .execute(&database.pool)
        .await
        .unwrap();
    for (event_type, path) in WAYS {
        let differs = format!(
            "SELECT g.doc, ({path})::text FROM audit_events JOIN given g ON g.n = (data->>'n')::int \
             WHERE event_type = '{event_type}' AND (g.doc::jsonb)::text IS DISTINCT FROM ({path})::text"
        );
        let differs: Vec<(String, Option<String>)> =
            sqlx::query_as(sqlx::AssertSqlSafe(differs)).fetch_all(&database.pool).await.unwrap();
        let differs: Vec<_> = differs.into_iter().filter(|(doc, _)| !is_truncated_change(event_type, doc)).collect();
        assert!(differs.is_empty(), "{event_type}: {} differ: {:?}", differs.len(), &differs[..differs.len().min(3)]);
    }

    let stored = stored(&database).await;
    // The library, and with the master key what is personal.
    let trail = Trail::new(database.pool.clone()).master_key(master);
    let mut events = Box::pin(trail.stream(EventFilter::new().limit(2_000)));
    let mut personal_values = Vec::new();
    let mut seen = 0;
    while let Some(event) = events.try_next().await.unwrap() {
        seen += 1;
        if event.event_type == "way.personal" {
            let n = event.data["n"].as_u64().unwrap() as usize;
            personal_values.push((n as i32, event.data["doc"].to_string()));
            continue;
        }
        let (data, context) = &stored[&event.id];
        assert_same(data, &event.data.to_string());
        assert_eq!(event.context.is_some(), context.is_some());
        context.iter().zip(&event.context).for_each(|(stored, read)| assert_same(stored, &read.to_string()));
    }
    assert_eq!(seen, CASES * 9);
    judged_by_postgresql(&database, &personal_values).await;

    // The command.
    let without_personal = |id: &Uuid| !stored[id].0.contains("$encrypted");
    for line in printed(&database, &["export"]).lines() {
        let exported: Exported<'_> = serde_json::from_str(line).unwrap();
        if without_personal(&exported.id) {
            assert_same(&stored[&exported.id].0, exported.data.get());
            stored[&exported.id].1.iter().for_each(|stored| assert_same(stored, exported.context.unwrap().get()));
        }
    }
    for line in printed(&database, &["export", "--format", "cloudevents"]).lines() {
        let exported: CloudEvent<'_> = serde_json::from_str(line).unwrap();
        if without_personal(&exported.id) {
            assert_same(&stored[&exported.id].0, exported.data.get());
            stored[&exported.id].1.iter().for_each(|stored| assert_same(stored, exported.context.as_ref().unwrap()));
        }
    }
    let csv = printed(&database, &["export", "--format", "csv", "--raw"]);
    for row in csv::Reader::from_reader(csv.as_bytes()).records() {
        let row = row.unwrap();
        let id: Uuid = row[0].parse().unwrap();
        if without_personal(&id) {
            assert_same(&stored[&id].0, &row[5]);
        }
    }
    let array = printed(&database, &["events", "--output", "json", "--limit", "300"]);
    for exported in serde_json::from_str::<Vec<Exported<'_>>>(&array).unwrap() {
        if without_personal(&exported.id) {
            assert_same(&stored[&exported.id].0, exported.data.get());
        }
    }
}

/// A change of a long document is cut to its length and hash.
fn is_truncated_change(event_type: &str, doc: &str) -> bool {
    event_type == "way.changed" && doc.len() > 10_000
}

#[derive(Deserialize)]
struct Exported<'a> {
    id: Uuid,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CloudEvent<'a> {
    id: Uuid,
    #[serde(borrow)]
    data: &'a RawValue,
    context: Option<String>,
}

/// Each row in PostgreSQL's own texts.
async fn stored(database: &Database) -> HashMap<Uuid, (String, Option<String>)> {
    let rows =
        sqlx::query("SELECT id, data::text, context::text FROM audit_events").fetch_all(&database.pool).await.unwrap();
    rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect()
}

/// Two texts of the same document have the same texts in the same places, but for blanks and the
/// order of members.
fn assert_same(stored: &str, shown: &str) {
    fn tokens(text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' => {
                    let mut length = 1;
                    while !rest[length..].starts_with('"') {
                        length += if rest[length..].starts_with('\\') { 2 } else { 1 };
                        while !rest.is_char_boundary(length) {
                            length += 1;
                        }
                    }
                    length + 1
                }
                '{' | '}' | '[' | ']' | ',' | ':' => 1,
                _ => rest.find(['{', '}', '[', ']', ',', ':', ' ', '"']).unwrap_or(rest.len()),
            };
            let (token, after) = rest.split_at(length);
            tokens.push(if first == '"' { serde_json::from_str(token).unwrap() } else { token.to_owned() });
            rest = after.trim_start_matches([' ', '\n']);
        }
        tokens.sort_unstable();
        tokens
    }
    assert_eq!(tokens(stored), tokens(shown));
}

/// PostgreSQL finds no difference between what was given and what is shown.
async fn judged_by_postgresql(database: &Database, shown: &[(i32, String)]) {
    assert_eq!(shown.len(), CASES);
    let (numbers, texts): (Vec<i32>, Vec<String>) = shown.iter().cloned().unzip();
    let differs: Vec<(String, String)> = sqlx::query_as(
        "SELECT g.doc, s.doc FROM unnest($1::int[], $2::text[]) s (n, doc) JOIN given g ON g.n = s.n \
         WHERE (g.doc::jsonb)::text <> (s.doc::jsonb)::text",
    )
    .bind(&numbers)
    .bind(&texts)
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert!(differs.is_empty(), "{} differ: {:?}", differs.len(), differs.first());
}

#[derive(Debug, Clone, Serialize)]
struct Numbers {
    double: f64,
    single: f32,
    wide: u128,
    signed: i128,
    small: i8,
}

#[audited(event = "way.typed", id = None::<Uuid>)]
fn typed(double: f64, single: f32, wide: u128, signed: i128, numbers: &Numbers) {}

#[audited(event = "way.counted", id = None::<Uuid>, changes(numbers), skip_all)]
fn counted(numbers: &mut Numbers, after: Numbers) {
    *numbers = after;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A probe shows what a row would hold.
    #[test]
    fn a_probe_keeps_the_digits_of_typed_numbers(
        bits: u64, single: f32, wide: u128, signed: i128, small: i8, other: u64,
    ) {
        let double = f64::from_bits(bits);
        prop_assume!(double.is_finite() && single.is_finite() && f64::from_bits(other).is_finite());
        let numbers = Numbers { double, single, wide, signed, small };
        let probe = Probe::new();
        let entered = probe.enter();
        typed(double, single, wide, signed, &numbers);
        let after = Numbers { double: f64::from_bits(other), wide: wide ^ 1, ..numbers.clone() };
        counted(&mut numbers.clone(), after);
        drop(entered);
        let data = probe.only("way.typed").data;
        for data in [&data, &data["numbers"]] {
            prop_assert_eq!(&data["double"], &Json::from(double));
            prop_assert_eq!(data["double"].to_string(), json(&double));
            prop_assert_eq!(data["single"].to_string(), json(&single));
            prop_assert_eq!(data["wide"].to_string(), wide.to_string());
            prop_assert_eq!(data["signed"].to_string(), signed.to_string());
        }
        let data = probe.only("way.counted").data;
        let changes = &data["changes"]["numbers"];
        prop_assert_eq!(changes["wide"]["from"].to_string(), wide.to_string());
        prop_assert_eq!(changes["wide"]["to"].to_string(), (wide ^ 1).to_string());
        if double != f64::from_bits(other) {
            prop_assert_eq!(changes["double"]["from"].to_string(), json(&double));
            prop_assert_eq!(changes["double"]["to"].to_string(), json(&f64::from_bits(other)));
        } else {
            prop_assert!(changes["double"].is_null());
        }
        prop_assert!(changes["single"].is_null() && changes["small"].is_null());
    }
}
