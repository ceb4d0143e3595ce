//! Failures of a server and the way to it. Callers notice nothing, nothing is lost or doubled, and
//! the backlog drains by itself.

use audit_runtime::{Audit, Event};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tests::{Bouncer, Calls, Cluster, Config, Database, Proxy, Rule, SmallDisk, eventually};

/// The database's name in the URL.
fn name(database: &Database) -> &str {
    database.url.rsplit('/').next().unwrap()
}

async fn execute(database: &Database, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(&database.pool).await.unwrap();
}

async fn fails_with(audit: &Audit, words: &str) {
    eventually(words, || async { audit.stats().last_error.is_some_and(|error| error.contains(words)) }).await;
}

async fn shut_down(audit: Audit) {
    let report = audit.shutdown(Duration::from_secs(20)).await.unwrap();
    assert_eq!(report.left_in_journal, 0);
}

#[tokio::test]
async fn backends_that_are_terminated() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let calls = Calls::begin(&audit);
    for round in 1..=5 {
        eventually("a connection is cut", || async {
            execute(
                &database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name = 'audit-runtime' AND datname = current_database()",
            )
            .await;
            audit.stats().retries >= round
        })
        .await;
    }
    calls.have_a_row_each(&audit, &database).await;
    shut_down(audit).await;
}

#[tokio::test]
async fn a_connection_that_the_server_closes_because_it_is_idle() {
    let database = Database::new().await;
    execute(&database, format!("ALTER DATABASE {} SET idle_session_timeout = '100ms'", name(&database))).await;
    let audit = database.audit().start().unwrap();
    for _ in 0..3 {
        audit.record(Event::new("order.accepted")).unwrap().stored().await.unwrap();
        let connections = "SELECT count(*) FROM pg_stat_activity \
                           WHERE application_name = 'audit-runtime' AND datname = current_database()";
        eventually("the server closes it", || async { database.count(connections).await == 0 }).await;
    }
    assert_eq!(database.events().await, 3);
    shut_down(audit).await;
}

/// A trail by way of a proxy.
async fn behind_a_proxy() -> (Database, Proxy, Audit) {
    let database = Database::new().await;
    let proxy = Proxy::start(Cluster::shared().port());
    let audit = database.audit().postgres(proxy.url(name(&database))).start().unwrap();
    (database, proxy, audit)
}

#[tokio::test]
async fn connections_cut_after_any_number_of_bytes() {
    let (database, proxy, audit) = behind_a_proxy().await;
    let calls = Calls::begin(&audit);
    // In the handshake, in the middle of BEGIN, of the COPY, of its end.
    let sent = [0, 3, 50, 200, 500, 700, 900, 2_000, 10_000, 40_000].map(Rule::CutAfterSent);
    let received = [0, 1, 20, 300, 420, 450, 480, 520, 600].map(Rule::CutAfterReceived);
    for rule in sent.into_iter().chain(received) {
        proxy.rule(rule);
        proxy.cut();
        let cuts = proxy.cuts();
        eventually("it cuts", || async { proxy.cuts() > cuts }).await;
        proxy.rule(Rule::Pass);
    }
    calls.have_a_row_each(&audit, &database).await;
    shut_down(audit).await;
}

#[tokio::test]
async fn answers_to_commits_that_are_lost() {
    let (database, proxy, audit) = behind_a_proxy().await;
    proxy.rule(Rule::LoseCommitAnswers);
    let calls = Calls::begin(&audit);
    let cuts = proxy.cuts();
    eventually("answers are lost", || async { proxy.cuts() >= cuts + 5 }).await;
    // The writer finds what it had stored, each time, and goes on: without one answer it gets on.
    assert!(database.events().await > 0);
    proxy.rule(Rule::Pass);
    calls.have_a_row_each(&audit, &database).await;
    let rows = database.count("SELECT sum(rows)::bigint FROM audit_batches").await;
    assert_eq!(rows, database.events().await);
    shut_down(audit).await;
}

#[tokio::test]
async fn a_failover_to_a_server_that_is_read_only() {
    let cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    let audit = database.audit().start().unwrap();
    let calls = Calls::begin(&audit);
    let options: PgConnectOptions = database.url.parse().unwrap();
    let options = options.options([("default_transaction_read_only", "off")]);
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    let switch = async |admin: &mut PgConnection, value: &str| {
        for sql in
            [format!("ALTER SYSTEM SET default_transaction_read_only = {value}"), "SELECT pg_reload_conf()".into()]
        {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *admin).await.unwrap();
        }
    };
    switch(&mut admin, "on").await;
    fails_with(&audit, "read-only transaction").await;
    switch(&mut admin, "off").await;
    calls.have_a_row_each(&audit, &database).await;
    shut_down(audit).await;
}

#[tokio::test]
async fn no_connection_left() {
    let cluster =
        Cluster::start(Config { settings: "max_connections = 12\nautovacuum = off\nmax_wal_senders = 0", hba: None });
    let database = Database::migrated_in(&cluster).await;
    let mut taken = Vec::new();
    while let Ok(connection) = PgConnection::connect(&database.url).await {
        taken.push(connection);
    }
    let audit = database.audit().start().unwrap();
    let calls = Calls::begin(&audit);
    fails_with(&audit, "too many clients").await;
    for connection in taken {
        connection.close().await.unwrap();
    }
    calls.have_a_row_each(&audit, &database).await;
    shut_down(audit).await;
}

#[tokio::test]
async fn timeouts_that_a_database_has_for_its_own_queries() {
    let database = Database::new().await;
    for setting in ["statement_timeout = '20ms'", "lock_timeout = '1ms'", "synchronous_commit = off"] {
        execute(&database, format!("ALTER DATABASE {} SET {setting}", name(&database))).await;
    }
    // The test's own pool was connected before.
    let audit = database.audit().start().unwrap();
    let calls = Calls::begin(&audit);
    eventually("a large batch goes through", || async { audit.stats().stored > 2_000 }).await;
    calls.have_a_row_each(&audit, &database).await;
    shut_down(audit).await;
}

#[tokio::test]
async fn a_table_that_somebody_has_locked() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let mut locking = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE").execute(&mut locking).await.unwrap();
    let calls = Calls::begin(&audit);
    fails_with(&audit, "lock timeout").await;
    let made = calls.made();
    eventually("callers go on", || async { calls.made() > made }).await;
    sqlx::raw_sql("COMMIT").execute(&mut locking).await.unwrap();
    calls.have_a_row_each(&audit, &database).await;
    shut_down(audit).await;
}

#[tokio::test]
async fn a_disk_of_the_server_that_is_full() {
    let Some(disk) = SmallDisk::mount(2 << 20) else { return };
    let cluster = Cluster::start(Config::default());
    let database = Database::empty_in(&cluster).await;
    let place = disk.path().join("tablespace");
    std::fs::create_dir(&place).unwrap();
    tests::cluster::give_away(&place);
    // Sessions have the setting from their beginning, so the database gets it before any connects.
    let mut admin = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    for sql in [
        format!("CREATE TABLESPACE small LOCATION '{}'", place.display()),
        format!("ALTER DATABASE {} SET default_tablespace = small", name(&database)),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    }
    database.admin().migrate().await.unwrap();
    let audit = database.audit().start().unwrap();
    let calls = Calls::begin(&audit);
    fails_with(&audit, "No space left on device").await;
    disk.resize(512 << 20);
    calls.have_a_row_each(&audit, &database).await;
    shut_down(audit).await;
    drop(cluster);
}

#[tokio::test]
async fn a_password_that_is_changed() {
    let cluster = Cluster::start(Config {
        settings: "",
        hba: Some("host all app 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"),
    });
    let database = Database::migrated_in(&cluster).await;
    execute(&database, "CREATE ROLE app SUPERUSER LOGIN PASSWORD 'one'").await;
    let password = Arc::new(Mutex::new("one"));
    let (url, current) = (database.url.clone(), password.clone());
    let fresh = move || url.replace("postgres@", &format!("app:{}@", current.lock().unwrap()));
    let audit = database.audit().postgres(fresh).start().unwrap();
    let calls = Calls::begin(&audit);
    eventually("the first password is good", || async { audit.stats().stored > 0 }).await;
    execute(&database, "ALTER ROLE app PASSWORD 'two'").await;
    execute(&database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'").await;
    fails_with(&audit, "password authentication failed").await;
    *password.lock().unwrap() = "two";
    calls.have_a_row_each(&audit, &database).await;
    shut_down(audit).await;
}

#[tokio::test]
async fn by_way_of_pgbouncer_in_transaction_mode() {
    let database = Database::new().await;
    let bouncer = Bouncer::start(Cluster::shared().port(), 2);
    // A journal is left by a process that never reached the server.
    let nowhere = database.audit().postgres("postgres://postgres@127.0.0.1:1/x").start().unwrap();
    let calls = Calls::begin(&nowhere);
    eventually("some calls", || async { calls.made() > 100 }).await;
    let mut made = calls.end();
    let report = nowhere.shutdown(Duration::ZERO).await.unwrap();
    assert_eq!(report.left_in_journal, made.len() as u64);

    let audit = database.audit().postgres(bouncer.url(name(&database))).connections(3).start().unwrap();
    let calls = Calls::begin(&audit);
    eventually("it is adopted", || async { audit.stats().adopted == report.left_in_journal }).await;
    // A row that is refused takes the long way, with savepoints and prepared statements.
    execute(&database, "ALTER TABLE audit_events ADD CHECK (event_type <> 'order.poisoned') NOT VALID").await;
    audit.record(Event::new("order.poisoned")).unwrap();
    eventually("it is in the quarantine", || async { audit.stats().quarantined == 1 }).await;
    made.extend(calls.end());
    audit.flush().await.unwrap();
    tests::calls::have_a_row_each(&made, &database).await;
    shut_down(audit).await;
}
