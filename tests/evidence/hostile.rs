//! Roles that were granted something and try more, each logged in as it does.

use crate::roles::{full_name, is_refused, named};
use crate::scene::as_superuser;
use audit_runtime::admin::{Admin, JournalState, Prune, Role, journals};
use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Builder, Event, MasterKey, audited};
use chrono::{TimeDelta, Utc};
use serde_json::json;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};
use tests::{Database, eventually};
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(60);

#[audited(event = "order.submitted", intent)]
async fn submit(order_id: Uuid, note: &str) {
    std::future::pending::<()>().await;
}

/// A trail of the role that has this URL, in the database's journal directory.
fn trail(database: &Database, url: &str) -> Builder {
    database.audit().postgres(url)
}

async fn refusal(pool: &PgPool, sql: &str) -> String {
    pool.execute(AssertSqlSafe(sql.to_owned())).await.expect_err(sql).to_string()
}

/// The journal of the batches that are stored, and where they end.
async fn stored(database: &Database) -> (Uuid, i64) {
    sqlx::query_as("SELECT journal_id, max(end_position) FROM audit_batches GROUP BY journal_id")
        .fetch_one(&database.pool)
        .await
        .unwrap()
}

/// Statements that plant a batch at each of a journal's next positions.
fn planted(journal: Uuid, from: i64) -> String {
    // An idle journal goes on in its next segment, which has a mebibyte here.
    format!(
        "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, previous_position, leaves, root) \
         SELECT gen_random_uuid(), '{journal}', n, n + 1000000, 0, 'planted', -2 - n, '', decode(repeat('00', 32), 'hex') \
         FROM (SELECT generate_series({from}, {from} + 9000) UNION SELECT generate_series(1, 9) * 1048576) places (n) \
         WHERE n >= {from}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_writer_can_store_a_batch_of_a_journal_or_ask_for_what_is_under_way_in_it() {
    let database = Database::new().await;
    let (url, pool) = named(&database, "victim", Role::Writer).await;
    let (_, attacker) = named(&database, "attacker", Role::Writer).await;
    let audit = trail(&database, &url).start().unwrap();
    let call = tokio::spawn(audit.scope(async { submit(Uuid::now_v7(), "confidential").await }));
    eventually("the intent is there", async || database.events().await == 1).await;
    let (journal, end) = stored(&database).await;
    let victim = full_name(&database, "victim").await;
    for sql in [
        planted(journal, end),
        planted(journal, 1 << 40),
        format!("SELECT * FROM audit_open_intents('{journal}')"),
        format!("SELECT audit_refused('{journal}')"),
        format!("SELECT audit_bind('{journal}')"),
        format!("SELECT audit_fence('{journal}')"),
    ] {
        let error = refusal(&attacker, &sql).await;
        assert!(error.contains(&format!("belongs to role \"{victim}\"")) && error.contains("GRANT"), "{sql}: {error}");
    }
    for sql in [
        format!("SELECT audit_admit('{journal}', NULL)"),
        format!("UPDATE audit_journals SET role = current_user WHERE journal_id = '{journal}'"),
        "SELECT * FROM audit_journals".into(),
        planted(Uuid::nil(), 0),
    ] {
        is_refused(&attacker, &sql).await;
    }
    // Its own role is answered.
    let own = pool.fetch_all(AssertSqlSafe(format!("SELECT * FROM audit_open_intents('{journal}')"))).await.unwrap();
    assert_eq!(own.len(), 1);
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    let report = audit.shutdown(LONG).await.unwrap();
    assert_eq!((report.left_in_journal, audit.stats().conflicts, database.events().await), (0, 0, 3));
    call.abort();
    database.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_place_another_has_is_kept_and_counted_and_stored_once_that_is_gone() {
    let database = Database::new().await;
    let (url, _) = named(&database, "victim", Role::Writer).await;
    let (_, member) = named(&database, "member", Role::Writer).await;
    let (victim, name) = (full_name(&database, "victim").await, full_name(&database, "member").await);
    database.pool.execute(AssertSqlSafe(format!("GRANT \"{victim}\" TO \"{name}\""))).await.unwrap();
    let audit = trail(&database, &url).start().unwrap();
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    let (journal, end) = stored(&database).await;
    // A member may store batches of the journal: only by that can it be attempted at all.
    member.execute(AssertSqlSafe(planted(journal, end))).await.unwrap();
    for _ in 0..10 {
        audit.record(Event::new("order.lost")).unwrap();
    }
    eventually("it is noticed", async || audit.stats().conflicts > 0).await;
    let stats = audit.stats();
    let error = stats.last_error.unwrap_or_default();
    assert!(error.contains("another batch at position") && error.contains("of planted"), "{error}");
    assert_eq!((stats.conflicts, stats.stored, stats.pending), (1, 1, 10));
    assert_eq!(database.abandon(audit).await.left_in_journal, 10);
    // Nor does an adopter take the records for stored.
    let next = trail(&database, &url).start().unwrap();
    eventually("it is noticed by the adopter", async || next.stats().conflicts > 0).await;
    let error = next.stats().last_error.unwrap_or_default();
    assert!(error.contains("whose event it does not hold"), "{error}");
    next.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    next.shutdown(LONG).await.unwrap();
    assert_eq!((database.events().await, database.journal_directories()), (2, 1));
    as_superuser(&database.pool, "DELETE FROM audit_batches WHERE origin = 'planted'").await;
    let last = trail(&database, &url).start().unwrap();
    eventually("all of them are there", async || database.events().await == 12).await;
    eventually("their journal is gone", async || database.journal_directories() == 1).await;
    last.shutdown(LONG).await.unwrap();
    assert_eq!(database.journal_directories(), 0);
    database.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_another_role_is_left_until_the_role_is_granted_and_holds_up_nobody() {
    let database = Database::new().await;
    let (url, _) = named(&database, "first", Role::Writer).await;
    let (other_url, _) = named(&database, "second", Role::Writer).await;
    let audit = trail(&database, &url).start().unwrap();
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    let mut lock = database.pool.begin().await.unwrap();
    lock.execute("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").await.unwrap();
    audit.record(Event::new("order.orphaned")).unwrap();
    database.abandon(audit).await;
    lock.rollback().await.unwrap();
    let other = trail(&database, &other_url).start().unwrap();
    // (The last error is gone with the next event that is stored.)
    let first = full_name(&database, "first").await;
    eventually("it is said", async || {
        other.stats().last_error.is_some_and(|error| error.contains(&format!("belongs to role \"{first}\"")))
    })
    .await;
    for _ in 0..2 {
        other.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    }
    let report = other.shutdown(LONG).await.unwrap();
    assert_eq!((report.left_in_journal, database.events().await), (0, 3));
    let left: Vec<_> = journals(database.journals.path()).unwrap().iter().map(|journal| journal.state).collect();
    assert_eq!(left, [JournalState::Waiting]);
    let second = full_name(&database, "second").await;
    database.pool.execute(AssertSqlSafe(format!("GRANT \"{first}\" TO \"{second}\""))).await.unwrap();
    let other = trail(&database, &other_url).start().unwrap();
    eventually("it is adopted", async || database.events().await == 4).await;
    eventually("it is gone", async || database.journal_directories() == 1).await;
    other.shutdown(LONG).await.unwrap();
    assert_eq!(database.journal_directories(), 0);
    database.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_set_owns_the_journals_of_all_who_set_it() {
    let database = Database::new().await;
    let (_, _) = named(&database, "service", Role::Writer).await;
    let service = full_name(&database, "service").await;
    for login in ["login-1", "login-2"] {
        let name = full_name(&database, login).await;
        let make = format!(
            "CREATE ROLE \"{name}\" LOGIN IN ROLE \"{service}\"; ALTER ROLE \"{name}\" SET role TO \"{service}\""
        );
        database.pool.execute(sqlx::raw_sql(AssertSqlSafe(make))).await.unwrap();
        let url = database.url.replace("postgres://postgres@", &format!("postgres://{name}@"));
        let audit = trail(&database, &url).start().unwrap();
        audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
        database.abandon(audit).await;
    }
    let roles: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT role FROM audit_journals").fetch_all(&database.pool).await.unwrap();
    assert_eq!(roles, [service]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_holds_the_lock_of_a_journal_stops_nobody() {
    let database = Database::new().await;
    let (_, reader) = named(&database, "reader", Role::Reader).await;
    let audit = database.audit().start().unwrap();
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    let (journal, _) = stored(&database).await;
    let (high, low) = journal.as_u64_pair();
    let mut holder = reader.acquire().await.unwrap();
    let lock = "SELECT pg_advisory_lock($1)";
    sqlx::query(lock).bind((high ^ low).cast_signed()).execute(&mut *holder).await.unwrap();
    holder.execute("SELECT pg_advisory_lock(hashtext('audit_make_partitions'))").await.unwrap();
    let began = Instant::now();
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(30) && audit.stats().retries == 0, "{:?}", audit.stats());
    database.count("SELECT audit_make_partitions(3)::bigint").await;
    database.abandon(audit).await;
    // Nor is an adopter held up.
    let next = database.audit().start().unwrap();
    eventually("it is adopted", async || database.journal_directories() == 1).await;
    next.shutdown(LONG).await.unwrap();
    assert_eq!((database.events().await, database.journal_directories()), (2, 0));
}

#[tokio::test]
async fn objects_that_shadow_ours_are_not_called_with_the_owners_rights() {
    let database = Database::new().await;
    let (_, attacker) = named(&database, "attacker", Role::Writer).await;
    let name = full_name(&database, "attacker").await;
    // As every role has it before PostgreSQL 15.
    database.pool.execute("GRANT CREATE ON SCHEMA public TO PUBLIC").await.unwrap();
    let take_over = format!("ALTER ROLE \"{name}\" SUPERUSER");
    let shadows = format!(
        "CREATE TABLE fired (who text); GRANT INSERT ON fired TO PUBLIC; \
         CREATE FUNCTION format(text, text, timestamptz, timestamptz) RETURNS text LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO public.fired VALUES (current_user); EXECUTE '{take_over}'; RETURN 'SELECT 1'; END $$; \
         CREATE FUNCTION format(text, text, text, text, timestamptz, timestamptz) RETURNS text LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO public.fired VALUES (current_user); EXECUTE '{take_over}'; RETURN 'SELECT 1'; END $$; \
         CREATE FUNCTION to_char(timestamp, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO public.fired VALUES (current_user); RETURN pg_catalog.to_char($1, $2); END $$; \
         CREATE TEMP TABLE audit_events_default (created_at timestamptz); CREATE TEMP TABLE audit_keys (subject text)"
    );
    let mut session = attacker.acquire().await.unwrap();
    session.execute(sqlx::raw_sql(AssertSqlSafe(shadows))).await.unwrap();
    let last: String = sqlx::query_scalar(
        "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass \
         AND inhrelid <> 'audit_events_default'::regclass",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    database.pool.execute(AssertSqlSafe(format!("DROP TABLE {last}"))).await.unwrap();
    let made: i32 = sqlx::query_scalar("SELECT audit_make_partitions(3)").fetch_one(&mut *session).await.unwrap();
    assert_eq!(made, 1);
    assert_eq!(database.count("SELECT count(*) FROM fired").await, 0);
    let paths: Vec<String> = sqlx::query_scalar(
        "SELECT proname::text FROM pg_proc WHERE proname LIKE 'audit\\_%' AND prosecdef AND \
         (NOT 'search_path=pg_catalog, pg_temp' = ANY (proconfig) OR has_function_privilege('public', oid, 'EXECUTE'))",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(paths, Vec::<String>::new());
}

#[tokio::test]
async fn a_writer_makes_partitions_for_a_year_at_most() {
    let database = Database::new().await;
    let (_, writer) = named(&database, "writer", Role::Writer).await;
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass";
    let made: i32 = sqlx::query_scalar("SELECT audit_make_partitions(5000)").fetch_one(&writer).await.unwrap();
    assert!(made <= 12, "{made}");
    assert_eq!(database.count(partitions).await, 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_makes_a_trigger_of_the_function_that_mirrors_rows() {
    let database = Database::new().await;
    let (_, reader) = named(&database, "reader", Role::Reader).await;
    let fill = "INSERT INTO audit_events (id, event_type, entity_type, created_at) \
                SELECT gen_random_uuid(), 'a.thing', 'a', '2019-03-01' FROM generate_series(1, 10)";
    database.pool.execute(fill).await.unwrap();
    // A transaction that writes holds up the exchange, so that the function is there for a while.
    let mut holder = database.pool.begin().await.unwrap();
    holder.execute("SELECT count(*) FROM audit_events").await.unwrap();
    let pool = database.pool.clone();
    let moving = tokio::spawn(async move { Admin::new(pool.clone()).make_partitions(|_| {}).await });
    let function = "SELECT count(*) FROM pg_trigger WHERE tgname = 'audit_mirror'";
    eventually("the rows are being moved", async || database.count(function).await == 1).await;
    let mut session = reader.acquire().await.unwrap();
    session.execute("CREATE TEMP TABLE t (LIKE audit_events)").await.unwrap();
    for sql in [
        "CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION audit_mirror()",
        "CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION audit_check_batch()",
        "SELECT audit_mirror()",
    ] {
        let error = session.execute(sql).await.unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{sql}: {error}");
    }
    // Not even for its owner does it take rows of another table.
    let mut owner = PgConnection::connect(&database.url).await.unwrap();
    let foreign = "CREATE TEMP TABLE t (LIKE audit_events INCLUDING DEFAULTS); \
                   CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION audit_mirror(); \
                   INSERT INTO t (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.forgery', 'a')";
    let error = owner.execute(sqlx::raw_sql(foreign)).await.unwrap_err().to_string();
    assert!(error.contains("another table"), "{error}");
    holder.rollback().await.unwrap();
    moving.await.unwrap().unwrap();
    assert_eq!(database.events().await, 10);
    assert_eq!(database.count("SELECT count(*) FROM audit_events WHERE event_type = 'a.forgery'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_unwraps_holds_up_neither_its_subject_nor_others() {
    let database = Database::new().await;
    let (url, _) = named(&database, "service", Role::Writer).await;
    let (_, attacker) = named(&database, "attacker", Role::Writer).await;
    let plant = "SELECT audit_take_keys(ARRAY['customer:42'], ARRAY[gen_random_uuid()], ARRAY[decode(repeat('5a', 72), 'hex')])";
    attacker.execute(plant).await.unwrap();
    let master = MasterKey::generate();
    let audit = trail(&database, &url).master_key(master.clone()).start().unwrap();
    let email = |subject: &str| {
        let event = Event::new("account.opened").data(&json!({"of": subject}));
        event.personal(subject, &json!({"email": "ann@example.com"}))
    };
    for subject in ["customer:42", "customer:43", "customer:42"] {
        audit.record(email(subject)).unwrap();
    }
    audit.record(Event::new("order.accepted")).unwrap();
    let report = audit.shutdown(LONG).await.unwrap();
    let stats = audit.stats();
    assert_eq!(
        (report.left_in_journal, stats.rekeyed, stats.retries, database.events().await),
        (0, 2, 0, 4),
        "{stats:?}"
    );
    let held: String = sqlx::query_scalar("SELECT string_agg(data::text, '') FROM audit_events")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert!(!held.contains("ann@example.com"), "{held}");
    let reader = Trail::new(database.pool.clone()).master_key(master);
    let emails = async || {
        let read = reader.events(&EventFilter::new().event("account.opened")).await.unwrap();
        let emails = read.events.iter().map(|event| event.data["email"].as_str().unwrap_or_default().to_owned());
        emails.collect::<Vec<_>>()
    };
    assert_eq!(emails().await, ["ann@example.com"; 3]);
    let forgotten = database.admin().forget("customer:42").await.unwrap();
    assert!(forgotten.is_some());
    assert_eq!(emails().await, ["[erased]", "ann@example.com", "[erased]"]);
    // Only keys and subjects of their sizes are taken.
    for sql in [
        "SELECT audit_take_keys(ARRAY['x'], ARRAY[gen_random_uuid()], ARRAY['\\x00'::bytea])",
        "SELECT audit_take_keys(ARRAY[repeat('x', 2000)], ARRAY[gen_random_uuid()], ARRAY[decode(repeat('5a', 72), 'hex')])",
        "SELECT audit_take_keys(ARRAY['x', 'y'], ARRAY[gen_random_uuid()], ARRAY[decode(repeat('5a', 72), 'hex')])",
    ] {
        assert!(refusal(&attacker, sql).await.contains("72 bytes"), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_only_called_like_ours_stay() {
    let database = Database::new().await;
    let foreign = "CREATE TABLE audit_keep_notes (note text); CREATE TABLE audit_keep_1 (note text); \
                   CREATE FUNCTION audit_keep_2() RETURNS int LANGUAGE sql AS 'SELECT 1'; \
                   INSERT INTO audit_keep_notes VALUES ('keep me'); INSERT INTO audit_keep_1 VALUES ('keep me')";
    database.pool.execute(sqlx::raw_sql(foreign)).await.unwrap();
    let fill = "INSERT INTO audit_events (id, event_type, entity_type, created_at) \
                SELECT gen_random_uuid(), 'a.thing', 'a', '2019-03-01' FROM generate_series(1, 10)";
    database.pool.execute(fill).await.unwrap();
    let pruned = database.admin().prune(&Prune::new(Utc::now() - TimeDelta::days(365)), |_| {}).await.unwrap();
    assert_eq!(pruned.rows, 10);
    let kept = "SELECT (SELECT count(*) FROM audit_keep_notes) + (SELECT count(*) FROM audit_keep_1) + audit_keep_2()";
    assert_eq!(database.count(kept).await, 3);
    database.pool.execute("CREATE TABLE audit_moving_rows (note text)").await.unwrap();
    let error = database.admin().make_partitions(|_| {}).await.unwrap_err().to_string();
    assert!(error.contains("audit_moving_rows") && error.contains("Rename"), "{error}");
    database.count("SELECT count(*) FROM audit_moving_rows").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_its_owners_alone_and_follows_no_link() {
    let database = Database::new().await;
    let fill = "INSERT INTO audit_events (id, event_type, entity_type, created_at) \
                SELECT gen_random_uuid(), 'a.thing', 'a', '2019-03-01' FROM generate_series(1, 10)";
    database.pool.execute(fill).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (archive, precious) = (directory.path().join("2019.ndjson"), directory.path().join("precious"));
    std::fs::write(&precious, "precious").unwrap();
    symlink(&precious, directory.path().join("2019.ndjson.part")).unwrap();
    let prune = Prune::new(Utc::now() - TimeDelta::days(365)).archive(&archive);
    symlink(&precious, &archive).unwrap();
    database.admin().prune(&prune, |_| {}).await.unwrap_err();
    std::fs::remove_file(&archive).unwrap();
    assert_eq!(database.admin().prune(&prune, |_| {}).await.unwrap().rows, 10);
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
    let mode = archive.symlink_metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_lost_its_triggers_and_keys_is_noticed_and_mended() {
    let database = Database::new().await;
    let (url, writer) = named(&database, "writer", Role::Writer).await;
    assert_eq!(Admin::new(writer.clone()).schema_problems().await.unwrap(), Vec::<String>::new());
    let audit = trail(&database, &url).start().unwrap();
    audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
    audit.shutdown(LONG).await.unwrap();
    // As of a restore that ended before constraints and triggers were made.
    let lose = "DROP TRIGGER audit_events_append_only ON audit_events; DROP TRIGGER audit_batches_of_role ON audit_batches; \
                ALTER TABLE audit_keys DISABLE TRIGGER audit_keys_append_only; \
                DROP TRIGGER audit_events_no_truncate ON audit_events_default; \
                ALTER TABLE audit_batches DROP CONSTRAINT audit_batches_journal_id_first_position_key; \
                ALTER TABLE audit_tree DROP CONSTRAINT audit_tree_pkey";
    database.pool.execute(sqlx::raw_sql(lose)).await.unwrap();
    let problems = Admin::new(writer.clone()).schema_problems().await.unwrap().join("; ");
    for part in [
        "audit_batches lacks its unique key (journal_id, first_position)",
        "audit_tree lacks its unique key (number)",
        "audit_events lacks its trigger audit_events_append_only",
        "audit_events_default lacks its trigger audit_events_no_truncate",
        "audit_batches lacks its trigger audit_batches_of_role",
        "trigger audit_keys_append_only of table audit_keys is disabled",
    ] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
    // Nothing is stored where nothing keeps it from being stored twice.
    let audit = trail(&database, &url).start().unwrap();
    audit.record(Event::new("order.accepted")).unwrap();
    eventually("the writer says so", async || {
        audit.stats().last_error.is_some_and(|error| error.contains("unique key") && error.contains("migrate"))
    })
    .await;
    assert_eq!(database.events().await, 1);
    let mut steps = Vec::new();
    database.admin().migrate_with_progress(|step| steps.push(step.to_string())).await.unwrap();
    assert!(steps.iter().filter(|step| step.ends_with("made anew")).count() == 6, "{steps:#?}");
    assert_eq!(Admin::new(writer.clone()).schema_problems().await.unwrap(), Vec::<String>::new());
    eventually("it is stored", async || database.events().await == 2).await;
    audit.shutdown(LONG).await.unwrap();
    is_refused(&database.pool, "DELETE FROM audit_events").await;
    database.is_unharmed().await;
}

#[tokio::test]
async fn where_nothing_is_to_be_migrated_a_reader_may_ask_for_it() {
    let database = Database::new().await;
    for duty in [Role::Reader, Role::Writer, Role::Checkpointer] {
        let (_, pool) = named(&database, &duty.to_string(), duty).await;
        Admin::new(pool.clone()).migrate().await.unwrap();
    }
    assert_eq!(database.count("SELECT max(version) FROM _audit_migrations").await, 4);
    assert_eq!(database.count("SELECT max(version)::bigint FROM audit_schema").await, 11);
    // An object of somebody else's in the place of one of ours is not taken for it.
    let database = Database::empty().await;
    let name = full_name(&database, "stranger").await;
    let plant = format!(
        "CREATE ROLE \"{name}\"; CREATE TABLE audit_journals (journal_id uuid PRIMARY KEY, role text NOT NULL, bound_at timestamptz); \
                         ALTER TABLE audit_journals OWNER TO \"{name}\""
    );
    database.pool.execute(sqlx::raw_sql(AssertSqlSafe(plant))).await.unwrap();
    let error = database.admin().migrate().await.unwrap_err().to_string();
    assert!(error.contains("audit_journals belongs to role") && error.contains("drop it"), "{error}");
}
