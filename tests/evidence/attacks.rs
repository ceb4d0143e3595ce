//! The attacks of a superuser on a trail, with the triggers disabled. Each attack is found, and its
//! target is named.

use crate::scene::Scene;
use audit_runtime::evidence::{Finding, FindingKind, SigningKey};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::collections::BTreeMap;
use uuid::Uuid;

const ATTACKS: u64 = 1_000;
/// Attacks on one trail, after each of which it is what it was before.
const A_TRAIL: u64 = 50;

const TABLES: [&str; 6] =
    ["audit_batches", "audit_tree", "audit_late", "audit_checkpoints", "audit_quarantine", "audit_events"];

const COLUMNS: [(&str, &str); 18] = [
    ("id", "gen_random_uuid()"),
    ("event_type", "event_type || 'x'"),
    ("entity_type", "upper(entity_type || 'x')"),
    ("entity_id", "CASE WHEN entity_id IS NULL THEN gen_random_uuid() END"),
    ("actor", "CASE actor WHEN 'mallory' THEN 'alice' ELSE 'mallory' END"),
    ("data", "data || '{\"quantity\": 100.00001}'"),
    ("created_at", "created_at + interval '1 microsecond'"),
    ("outcome", "CASE outcome WHEN 'ok' THEN 'error' ELSE 'ok' END"),
    ("duration_us", "coalesce(duration_us, 0) + 1"),
    ("correlation_id", "gen_random_uuid()"),
    ("causation_id", "gen_random_uuid()"),
    ("context", "jsonb_build_object('tenant', coalesce(context, 'null'))"),
    ("origin", "coalesce(origin, '') || '1'"),
    ("batch_id", "CASE WHEN batch_id IS NULL THEN gen_random_uuid() END"),
    ("entity_key", "coalesce(entity_key, '') || '1'"),
    ("targets", "CASE WHEN targets IS NULL THEN '[]'::jsonb END"),
    ("targets", "coalesce(targets, '[]') || '[{\"type\": \"account\"}]'"),
    ("tenant", "CASE tenant WHEN 'acme' THEN 'globex' ELSE 'acme' END"),
];

const BATCH_COLUMNS: [(&str, &str); 17] = [
    ("id", "gen_random_uuid()"),
    ("journal_id", "gen_random_uuid()"),
    ("first_position", "first_position - 1"),
    ("end_position", "end_position + 1000000000"),
    ("rows", "rows + 1"),
    ("origin", "origin || '1'"),
    ("created_at", "created_at + interval '1 microsecond'"),
    ("first_event_at", "first_event_at - interval '1 microsecond'"),
    ("last_event_at", "last_event_at + interval '1 microsecond'"),
    ("previous_position", "coalesce(previous_position, 0) + 1"),
    ("previous_root", "CASE WHEN previous_root IS NULL THEN sha256('') END"),
    ("open_positions", "coalesce(open_positions, '') || '\\x0000000000000000'"),
    ("root", "set_byte(root, 7, get_byte(root, 7) # 1)"),
    ("leaves", "set_byte(leaves, octet_length(leaves) - 1, get_byte(leaves, octet_length(leaves) - 1) # 4)"),
    ("leaves", "NULL"),
    ("leaf_form", "3 - leaf_form"),
    ("leaf_form", "9"),
];

/// One attack: what it is, what is to be done, and what a finding has to name.
struct Attack {
    name: String,
    sql: String,
    named: Named,
}

enum Named {
    Event(Uuid),
    Batch(Uuid),
    Kind(FindingKind),
}

impl Named {
    fn is_named(&self, findings: &[Finding]) -> bool {
        findings.iter().filter(|finding| finding.is_problem()).any(|finding| match self {
            Self::Event(id) => finding.event == Some(*id),
            Self::Batch(id) => finding.batch == Some(*id),
            Self::Kind(kind) => finding.kind == *kind,
        })
    }
}

/// The targets of the attacks.
struct Targets {
    events: Vec<Uuid>,
    batches: Vec<(Uuid, i32)>,
    late: Vec<Uuid>,
    refused: Vec<Uuid>,
    checkpoints: Vec<i64>,
    tree: i64,
}

impl Targets {
    async fn of(connection: &mut PgConnection) -> Self {
        Self {
            events: sqlx::query_scalar("SELECT id FROM audit_events ORDER BY id")
                .fetch_all(&mut *connection)
                .await
                .unwrap(),
            batches: sqlx::query_as("SELECT id, rows FROM audit_batches ORDER BY id")
                .fetch_all(&mut *connection)
                .await
                .unwrap(),
            late: sqlx::query_scalar("SELECT event_id FROM audit_late ORDER BY 1")
                .fetch_all(&mut *connection)
                .await
                .unwrap(),
            refused: sqlx::query_scalar("SELECT id FROM audit_quarantine ORDER BY 1")
                .fetch_all(&mut *connection)
                .await
                .unwrap(),
            checkpoints: sqlx::query_scalar("SELECT id FROM audit_checkpoints ORDER BY 1")
                .fetch_all(&mut *connection)
                .await
                .unwrap(),
            tree: sqlx::query_scalar("SELECT count(*) FROM audit_tree").fetch_one(connection).await.unwrap(),
        }
    }

    fn attack(&self, random: &mut StdRng) -> Attack {
        let event = *self.events.choose(random).unwrap();
        let other = *self.events.iter().find(|id| **id != event).unwrap();
        let (batch, rows) = *self.batches.choose(random).unwrap();
        let checkpoint = *self.checkpoints.choose(random).unwrap();
        let number = random.random_range(0..self.tree);
        let attack = |name: &str, sql: String, named: Named| Attack { name: name.to_owned(), sql, named };
        match random.random_range(0..21) {
            0..=5 => {
                let (column, value) = COLUMNS.choose(random).unwrap();
                let sql = format!("UPDATE audit_events SET {column} = {value} WHERE id = '{event}'");
                attack(&format!("change {column}"), sql, Named::Event(event))
            }
            6 => attack("delete a row", format!("DELETE FROM audit_events WHERE id = '{event}'"), Named::Event(event)),
            7 => {
                let sql = format!(
                    "DELETE FROM audit_events WHERE batch_id = '{batch}'; DELETE FROM audit_batches WHERE id = '{batch}'"
                );
                attack("delete a batch", sql, Named::Batch(batch))
            }
            8 => {
                // With everything that would reveal it in the database.
                let from = random.random_range(0..self.tree);
                let sql = format!(
                    "CREATE TEMPORARY TABLE tail AS SELECT batch_id FROM audit_tree WHERE number >= {from}; \
                     DELETE FROM audit_events WHERE batch_id IN (SELECT batch_id FROM tail); \
                     DELETE FROM audit_events e USING audit_late l WHERE l.event_id = e.id AND l.batch_id IN (SELECT batch_id FROM tail); \
                     DELETE FROM audit_late WHERE batch_id IN (SELECT batch_id FROM tail); \
                     DELETE FROM audit_quarantine WHERE batch_id IN (SELECT batch_id FROM tail); \
                     DELETE FROM audit_batches WHERE id IN (SELECT batch_id FROM tail); \
                     DELETE FROM audit_tree WHERE number >= {from}; DELETE FROM audit_checkpoints WHERE tree_size > {from}; DROP TABLE tail"
                );
                attack("delete the tail", sql, Named::Kind(FindingKind::Checkpoint))
            }
            9 => {
                let id = Uuid::now_v7();
                let claimed = if random.random() { batch } else { Uuid::now_v7() };
                let sql = format!(
                    "INSERT INTO audit_events (id, event_type, entity_type, batch_id) VALUES ('{id}', 'order.filled', 'order', '{claimed}')"
                );
                attack("insert with a forged batch", sql, Named::Event(id))
            }
            10 => {
                let sql = format!(
                    "UPDATE audit_events e SET data = o.data || '{{\"swapped\": 1}}', actor = o.actor || e.actor FROM audit_events o \
                     WHERE (e.id, o.id) IN (('{event}', '{other}'), ('{other}', '{event}'))"
                );
                attack("swap two rows", sql, Named::Event(event))
            }
            11 | 12 => {
                let (column, value) = BATCH_COLUMNS.choose(random).unwrap();
                // Of a batch that has one: an expression that returns the old value is not an
                // attack.
                let sql = format!("UPDATE audit_batches SET {column} = {value} WHERE id = '{batch}'");
                attack(&format!("change {column} of a batch"), sql, Named::Batch(batch))
            }
            13 if rows > 1 => {
                let sql = format!(
                    "UPDATE audit_batches SET leaves = substr(leaves, 49, 48) || substr(leaves, 1, 48) || substr(leaves, 97) WHERE id = '{batch}'"
                );
                attack("reorder a batch", sql, Named::Batch(batch))
            }
            14 => {
                let sql = format!(
                    "UPDATE audit_checkpoints SET note = {} WHERE id = {checkpoint}",
                    [
                        "replace(note, 'time 2', 'time 3')", // One character of the signature.
                        "overlay(note placing translate(substr(note, length(note) - 20, 1), \
                     'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', \
                     'BCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/A') from length(note) - 20 for 1)",
                        "'none'",
                        "replace(note, E'\\n\\n', E'\\nx\\n\\n')"
                    ]
                    .choose(random)
                    .unwrap()
                );
                attack("change a checkpoint", sql, Named::Kind(FindingKind::Signature))
            }
            15 => {
                let sql = [
                    format!("DELETE FROM audit_checkpoints WHERE id = {checkpoint}"),
                    format!("UPDATE audit_checkpoints SET tree_size = tree_size + 1 WHERE id = {checkpoint}"),
                    "DELETE FROM audit_checkpoints".to_owned(),
                    "UPDATE audit_checkpoints SET frontier = '\\x' || frontier || '\\x00'".to_owned(),
                ];
                attack("remove a checkpoint", sql.choose(random).unwrap().clone(), Named::Kind(FindingKind::Checkpoint))
            }
            16 => {
                let sql = [
                    format!("DELETE FROM audit_tree WHERE number = {number}"),
                    format!("UPDATE audit_tree SET leaf = sha256(leaf) WHERE number = {number}"),
                    "DELETE FROM audit_tree".to_owned(),
                ];
                // Without its tree a checkpoint is nothing.
                attack("change the tree", sql.choose(random).unwrap().clone(), Named::Kind(FindingKind::Checkpoint))
            }
            19 => {
                let sql = format!("UPDATE audit_tree SET number = number + 1000 WHERE number >= {number}");
                attack("renumber the tree", sql, Named::Kind(FindingKind::BatchMissing))
            }
            17 if !self.late.is_empty() => {
                let late = *self.late.choose(random).unwrap();
                let sql = [
                    format!("DELETE FROM audit_late WHERE event_id = '{late}'"),
                    format!(
                        "UPDATE audit_late SET batch_id = '{batch}' WHERE event_id = '{late}' AND batch_id <> '{batch}'; \
                         UPDATE audit_late SET batch_id = gen_random_uuid() WHERE event_id = '{late}'"
                    ),
                ];
                attack("change what was sealed late", sql.choose(random).unwrap().clone(), Named::Event(late))
            }
            18 if !self.refused.is_empty() => {
                let refused = *self.refused.choose(random).unwrap();
                let sql = [
                    format!("DELETE FROM audit_quarantine WHERE id = '{refused}'"),
                    format!(
                        "UPDATE audit_quarantine SET payload = set_byte(payload, octet_length(payload) - 1, get_byte(payload, octet_length(payload) - 1) # 1) WHERE id = '{refused}'"
                    ),
                ];
                attack("change the quarantine", sql.choose(random).unwrap().clone(), Named::Event(refused))
            }
            _ => {
                // Everything is sealed anew, by a key of the attacker's.
                let sql = format!("UPDATE audit_events SET actor = 'nobody' WHERE id = '{event}'; {UNSEAL}");
                attack("re-seal", sql, Named::Kind(FindingKind::Signature))
            }
        }
    }
}

/// As if nothing had ever been sealed.
const UNSEAL: &str = "UPDATE audit_events SET batch_id = NULL; DELETE FROM audit_batches; DELETE FROM audit_tree; \
     DELETE FROM audit_late; DELETE FROM audit_checkpoints; DELETE FROM audit_quarantine";

/// A connection whose changes no trigger refuses.
async fn superuser(scene: &Scene) -> PgConnection {
    let mut connection = PgConnection::connect(&scene.database.url).await.unwrap();
    connection.execute("SET session_replication_role TO replica").await.unwrap();
    for table in TABLES {
        let copy = format!("CREATE TABLE kept_{table} AS TABLE {table}");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(copy))).await.unwrap();
    }
    // Attacks need not keep to what is checked.
    let drop = "ALTER TABLE audit_batches DROP CONSTRAINT audit_batches_leaves, DROP CONSTRAINT audit_batches_journal_id_first_position_key";
    connection.execute(drop).await.unwrap();
    connection
}

async fn restore(connection: &mut PgConnection) {
    for table in TABLES {
        let values = if table == "audit_checkpoints" { "OVERRIDING SYSTEM VALUE TABLE" } else { "TABLE" };
        let restore = format!("DELETE FROM {table}; INSERT INTO {table} {values} kept_{table}");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(restore))).await.unwrap();
    }
}

async fn attack_a_trail(seed: u64) -> BTreeMap<String, u64> {
    let scene = Scene::new(seed).await;
    let mut random = StdRng::seed_from_u64(seed);
    let mut connection = superuser(&scene).await;
    let targets = Targets::of(&mut connection).await;
    let mut found = BTreeMap::new();
    for number in 0..A_TRAIL {
        let attack = targets.attack(&mut random);
        connection.execute(sqlx::raw_sql(AssertSqlSafe(attack.sql.clone()))).await.unwrap();
        if attack.name == "re-seal" {
            let forged = SigningKey::generate(scene.key.public().name()).unwrap();
            scene.database.admin().checkpoint(&forged).await.unwrap();
        }
        let (findings, report) = scene.database.verify(Some(scene.key.public()), &scene.saved).await;
        assert!(
            report.problems > 0 && attack.named.is_named(&findings),
            "trail {seed}, attack {number}, {}: {}\n{findings:#?}",
            attack.name,
            attack.sql
        );
        *found.entry(attack.name).or_default() += 1;
        restore(&mut connection).await;
    }
    let (findings, _) = scene.database.verify(Some(scene.key.public()), &scene.saved).await;
    assert!(findings.is_empty(), "the attacks are undone: {findings:#?}");
    connection.close().await.unwrap();
    scene.database.pool.close().await;
    found
}

#[test]
fn a_thousand_attacks_are_found_and_named() {
    let trails: Vec<u64> = (1_000..1_000 + ATTACKS / A_TRAIL).collect();
    let queue = std::sync::Mutex::new(trails.into_iter());
    let total = std::sync::Mutex::new(BTreeMap::<String, u64>::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
                while let Some(seed) = { queue.lock().unwrap().next() } {
                    for (name, count) in runtime.block_on(attack_a_trail(seed)) {
                        *total.lock().unwrap().entry(name).or_default() += count;
                    }
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    assert_eq!(total.values().sum::<u64>(), ATTACKS);
    println!("{total:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_its_owner_has_sealed_again_with_its_own_key_is_found_by_a_checkpoint_kept_elsewhere() {
    let scene = Scene::new(7).await;
    let mut connection = superuser(&scene).await;
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(format!("UPDATE audit_events SET actor = 'nobody'; {UNSEAL}"))))
        .await
        .unwrap();
    scene.database.admin().checkpoint(&scene.key).await.unwrap();
    let (findings, _) = scene.database.verify(Some(scene.key.public()), &[]).await;
    assert!(findings.is_empty(), "in itself it is consistent: {findings:#?}");
    let (findings, _) = scene.database.verify(Some(scene.key.public()), &scene.saved[..1]).await;
    assert!(
        findings
            .iter()
            .any(|finding| finding.kind == FindingKind::Checkpoint && finding.text.contains("saved checkpoint 0"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_behind_a_checkpoint_that_was_changed() {
    let scene = Scene::new(8).await;
    let mut connection = superuser(&scene).await;
    for change in [
        "UPDATE audit_checkpoints SET frontier = sha256('')",
        "UPDATE audit_checkpoints SET note = 'none'",
        "DELETE FROM audit_checkpoints",
    ] {
        connection.execute(change).await.unwrap();
        let error = scene.database.admin().checkpoint(&scene.key).await.unwrap_err().to_string();
        assert!(error.contains("nothing is signed"), "{error}");
        restore(&mut connection).await;
    }
    let other = SigningKey::generate("somebody.else").unwrap();
    let error = scene.database.admin().checkpoint(&other).await.unwrap_err().to_string();
    assert!(error.contains("not signed by this key"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_any_checkpoint_the_chain_tells_of_a_batch_that_is_gone_or_was_sealed_again() {
    let database = tests::Database::new().await;
    let audit = database.audit().batch_rows(2).start().unwrap();
    for _ in 0..20 {
        audit.record(audit_runtime::Event::new("a.thing")).unwrap();
    }
    audit.shutdown(std::time::Duration::from_secs(30)).await.unwrap();
    database.is_unharmed().await;
    let batches: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM audit_batches ORDER BY first_position")
        .fetch_all(&database.pool)
        .await
        .unwrap();
    assert!(batches.len() >= 10);
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    connection.execute("SET session_replication_role TO replica").await.unwrap();
    let (gone, altered) = (batches[4], batches[7]);
    for sql in [
        format!("DELETE FROM audit_events WHERE batch_id = '{gone}'"),
        format!("DELETE FROM audit_batches WHERE id = '{gone}'"),
        // As the batch in its stead would have it, but for what follows.
        format!("UPDATE audit_batches SET root = sha256(root) WHERE id = '{altered}'"),
    ] {
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    let (findings, _) = database.verify(None, &[]).await;
    let found = |kind, batch| findings.iter().any(|finding| finding.kind == kind && finding.batch == Some(batch));
    assert!(found(FindingKind::BatchMissing, batches[5]), "{findings:#?}");
    assert!(found(FindingKind::ChainBroken, batches[8]), "{findings:#?}");
}
