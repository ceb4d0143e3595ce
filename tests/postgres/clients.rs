//! Rows in the transactions of other clients: each goes the same ways as with sqlx 0.9.

use audit_runtime::admin::{Admin, Role};
use audit_runtime::testing::Probe;
use audit_runtime::trail::{EventFilter, Trail, TrailEvent};
use audit_runtime::{Audit, Context, Event, Outcome, RecordInError, audited};
use serde_json::json;
use sqlx::AssertSqlSafe;
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

/// Texts and numbers that a client may take for something else on the way.
const ODD: &str = "NULL,{\"a\\b\"}'; -- \u{0}ä\u{1f600}\n";

fn odd_events() -> Vec<Event> {
    let number = "123456789012345678901234567890.10".parse::<audit_runtime::Json>().unwrap();
    vec![
        Event::new("account.listed").entity("account", ODD).target("owner", ODD).tenant(ODD).actor(ODD),
        Event::new("account.listed").data(&json!({"odd": ODD, "null": null})).at(time("2026-05-04T09:00:00.123456Z")),
        Event::new("account.listed").data(&[("number", number)].into_iter().collect::<audit_runtime::Json>()),
        Event::new("account.listed").at(time("0044-03-15T12:00:00.000001+00:00 BC")),
    ]
}

fn time(text: &str) -> audit_runtime::Timestamp {
    text.parse().unwrap()
}

/// A database with a table of accounts, and roles that may write events and may not.
struct Bank {
    database: Database,
    audit: Audit,
    writer: String,
    stranger: String,
}

impl Bank {
    async fn open() -> Self {
        let database = Database::new().await;
        let (writer, stranger) =
            (format!("writer_{}", Uuid::now_v7().simple()), format!("stranger_{}", Uuid::now_v7().simple()));
        let made = format!(
            "CREATE TABLE accounts (id bigint, note text); CREATE ROLE {writer}; CREATE ROLE {stranger}; \
             GRANT INSERT ON accounts TO {writer}, {stranger}; \
             CREATE FUNCTION dropped() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN IF NEW.event_type = ''account.dropped'' THEN RETURN NULL; END IF; RETURN NEW; END'; \
             CREATE TRIGGER dropped BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION dropped(); \
             ALTER TABLE audit_events ADD CHECK (event_type <> 'account.refused')"
        );
        sqlx::raw_sql(AssertSqlSafe(made)).execute(&database.pool).await.unwrap();
        Admin::new(database.pool.clone()).grant(Role::Writer, &writer).await.unwrap();
        let audit = database.audit().start().unwrap();
        Self { database, audit, writer, stranger }
    }

    async fn events(&self) -> Vec<TrailEvent> {
        let page = Trail::new(self.database.pool.clone()).events(&EventFilter::new().limit(1_000)).await.unwrap();
        page.events
    }

    async fn accounts(&self) -> i64 {
        self.database.count("SELECT count(*) FROM accounts").await
    }
}

/// The rows are the ones that a probe shows: by value, with every digit.
async fn are_as_a_probe_shows(bank: &Bank, ids: &[Uuid], context: Context) {
    let probe = Probe::new();
    let inside = context.enter();
    probe.audit().record_all(odd_events()).unwrap();
    drop(inside);
    let rows = bank.events().await;
    for (id, shown) in ids.iter().zip(probe.events()) {
        let row = rows.iter().find(|row| row.id == *id).unwrap();
        let facts = |event: &TrailEvent| {
            (
                event.event_type.clone(),
                event.entity_key.clone(),
                event.entity_id,
                event.targets.clone(),
                event.tenant.clone(),
            )
        };
        assert_eq!(facts(row), facts(&shown));
        assert_eq!((&row.data, row.batch_id, row.outcome), (&shown.data, None, Outcome::Ok));
        assert_eq!((&row.actor, &row.context), (&shown.actor, &shown.context));
        if shown.created_at.unix_micros().unwrap() < 1_780_000_000_000_000 {
            assert_eq!(row.created_at, shown.created_at);
        }
    }
}

/// The tests that every client has to pass. The blocks have the connection `c` or the transaction `tx`.
macro_rules! client {
    (
        $name:ident, $tx:ty, $error:ty,
        connect = |$url:ident| $connect:expr, begin = |$c:ident| $begin:expr,
        execute = |$e:ident, $sql:ident| $execute:expr,
        commit = |$commit_tx:ident| $commit:expr, rollback = |$rollback_tx:ident| $rollback:expr $(,)?
    ) => {
        mod $name {
            use super::*;

            async fn execute($e: &mut $tx, $sql: &str) -> Result<(), $error> {
                $execute
            }

            #[audited(event = "account.closed", err = "account.kept", id = id, tx = tx)]
            async fn close(tx: &mut $tx, id: i64, note: &str) -> Result<i64, $error> {
                execute(tx, &format!("INSERT INTO accounts VALUES ({id}, 'closed')")).await?;
                Ok(id)
            }

            #[audited(event = "account.refused", err = "account.kept", id = id, tx = tx)]
            async fn refused(tx: &mut $tx, id: i64) -> Result<(), $error> {
                execute(tx, &format!("INSERT INTO accounts VALUES ({id}, 'refused')")).await
            }

            async fn commit($commit_tx: $tx) -> Result<(), $error> {
                $commit
            }

            async fn rollback($rollback_tx: $tx) -> Result<(), $error> {
                $rollback
            }

            #[tokio::test]
            async fn rows_come_with_its_commit_and_go_with_its_rollback() {
                let bank = Bank::open().await;
                let $url = bank.database.url.as_str();
                #[allow(unused_mut)]
                let mut $c = $connect;
                let mut tx = $begin;
                execute(&mut tx, &format!("SET LOCAL ROLE {}", bank.writer)).await.unwrap();
                bank.audit.scope(close(&mut tx, 1, ODD)).await.unwrap();
                let context = Context::new().actor("user:kim").tenant("acme").correlation(Uuid::from_u128(7));
                let ids = context.clone().scope(async { bank.audit.record_in(&mut tx, odd_events()).await });
                let ids = ids.await.unwrap();
                let one = context.clone().scope(async { bank.audit.record_in(&mut tx, [Event::new("account.one")]).await });
                let one = one.await.unwrap();
                let nothing = bank.audit.record_in(&mut tx, Vec::<Event>::new()).await.unwrap();
                assert_eq!(nothing, Vec::<Uuid>::new());
                assert!(bank.events().await.is_empty(), "not before the commit");
                commit(tx).await.unwrap();
                assert_eq!(bank.events().await.len(), 6);
                assert_eq!(bank.audit.stats().in_transactions, 6);
                let closed = bank.events().await.into_iter().find(|event| event.event_type == "account.closed").unwrap();
                assert_eq!((closed.entity_key.as_deref(), closed.outcome), (Some("1"), Outcome::Ok));
                assert_eq!(closed.data, json!({"id": 1, "note": ODD.replace('\0', "\\u0000"), "result": 1}));
                let one = bank.events().await.into_iter().find(|event| event.id == one[0]).unwrap();
                assert_eq!((one.actor.as_str(), one.tenant.as_deref()), ("user:kim", Some("acme")));
                assert_eq!(one.correlation_id, Some(Uuid::from_u128(7)));
                are_as_a_probe_shows(&bank, &ids, context).await;

                #[allow(unused_mut)]
                let mut $c = $connect;
                let mut tx = $begin;
                bank.audit.scope(close(&mut tx, 2, ODD)).await.unwrap();
                bank.audit.record_in(&mut tx, odd_events()).await.unwrap();
                rollback(tx).await.unwrap();
                assert_eq!((bank.events().await.len(), bank.accounts().await), (6, 1));
                bank.audit.shutdown(Duration::from_secs(30)).await.unwrap();
            }

            #[tokio::test]
            async fn a_failed_insert_is_its_error_and_nothing_of_the_transaction_is_stored() {
                let bank = Bank::open().await;
                let $url = bank.database.url.as_str();
                let role = format!("SET LOCAL ROLE {}", bank.stranger);
                let away = "ALTER TABLE audit_events RENAME TO gone";
                let cases = [
                    ("SELECT 1", "account.refused", "audit_events_event_type_check"),
                    ("SELECT 1", "account.dropped", "drops rows"),
                    (&role, "account.listed", "permission denied for table audit_events"),
                    (away, "account.listed", "does not exist"),
                ];
                for (before, event_type, expected) in cases {
                    for rows in [1, 3] {
                        #[allow(unused_mut)]
                        let mut $c = $connect;
                        let mut tx = $begin;
                        execute(&mut tx, "INSERT INTO accounts VALUES (3, 'in the transaction')").await.unwrap();
                        execute(&mut tx, before).await.unwrap();
                        let events = (0..rows).map(|_| Event::new(event_type));
                        let error = bank.audit.record_in(&mut tx, events).await.unwrap_err();
                        let RecordInError::Database(error) = error else { panic!("{error}") };
                        let text = format!("{error} {error:?}");
                        assert!(text.contains(expected), "{text}");
                        let after = execute(&mut tx, "SELECT 1").await.unwrap_err();
                        assert!(format!("{after:?}").contains("current transaction is aborted"), "{after:?}");
                        // Some clients notice that PostgreSQL answers by a rollback, and some do not.
                        let _ = commit(tx).await;
                        assert_eq!((bank.accounts().await, bank.events().await.len()), (0, 0));
                    }
                }
                #[allow(unused_mut)]
                let mut $c = $connect;
                let mut tx = $begin;
                bank.audit.scope(refused(&mut tx, 4)).await.unwrap_err();
                let _ = commit(tx).await;
                bank.audit.flush().await.unwrap();
                let events = bank.events().await;
                let [event] = &*events else { panic!("{events:?}") };
                assert_eq!((event.event_type.as_str(), event.outcome), ("account.kept", Outcome::Error));
                assert_eq!((bank.accounts().await, bank.audit.stats().in_transactions), (0, 0));
                // A mistake of the caller's is found before anything is sent.
                #[allow(unused_mut)]
                let mut $c = $connect;
                let mut tx = $begin;
                let error = bank.audit.record_in(&mut tx, [Event::new("a.b"), Event::new("No Type")]).await.unwrap_err();
                assert!(matches!(error, RecordInError::Event { index: 1, .. }), "{error}");
                execute(&mut tx, "INSERT INTO accounts VALUES (5, 'after a mistake')").await.unwrap();
                commit(tx).await.unwrap();
                assert_eq!((bank.accounts().await, bank.events().await.len()), (1, 1));
                bank.audit.shutdown(Duration::from_secs(30)).await.unwrap();
            }
        }
    };
}

client! {
    sqlx_0_9, sqlx::Transaction<'_, sqlx::Postgres>, sqlx::Error,
    connect = |url| { use sqlx::Connection; sqlx::PgConnection::connect(url).await.unwrap() },
    begin = |c| { use sqlx::Connection; c.begin().await.unwrap() },
    execute = |tx, sql| sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut **tx).await.map(drop),
    commit = |tx| tx.commit().await,
    rollback = |tx| tx.rollback().await,
}

client! {
    sqlx_0_8, sqlx08::Transaction<'_, sqlx08::Postgres>, sqlx08::Error,
    connect = |url| { use sqlx08::Connection; sqlx08::PgConnection::connect(url).await.unwrap() },
    begin = |c| { use sqlx08::Connection; c.begin().await.unwrap() },
    execute = |tx, sql| sqlx08::raw_sql(sql).execute(&mut **tx).await.map(drop),
    commit = |tx| tx.commit().await,
    rollback = |tx| tx.rollback().await,
}

async fn connect_by_tokio_postgres(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

client! {
    tokio_postgres_0_7, tokio_postgres::Transaction<'_>, tokio_postgres::Error,
    connect = |url| connect_by_tokio_postgres(url).await,
    begin = |c| c.transaction().await.unwrap(),
    execute = |tx, sql| tx.batch_execute(sql).await,
    commit = |tx| tx.commit().await,
    rollback = |tx| tx.rollback().await,
}

client! {
    sea_orm_2, sea_orm::DatabaseTransaction, sea_orm::DbErr,
    connect = |url| sea_orm::Database::connect(url).await.unwrap(),
    begin = |c| { use sea_orm::TransactionTrait; c.begin().await.unwrap() },
    execute = |tx, sql| { use sea_orm::ConnectionTrait; tx.execute_unprepared(sql).await.map(drop) },
    commit = |tx| tx.commit().await,
    rollback = |tx| tx.rollback().await,
}

client! {
    diesel_async_0_9, diesel_async::AsyncPgConnection, diesel::result::Error,
    connect = |url| url,
    begin = |c| {
        use diesel_async::{AsyncConnection, SimpleAsyncConnection};
        let mut connection = diesel_async::AsyncPgConnection::establish(c).await.unwrap();
        connection.batch_execute("BEGIN").await.unwrap();
        connection
    },
    execute = |tx, sql| { use diesel_async::SimpleAsyncConnection; tx.batch_execute(sql).await },
    commit = |tx| { use diesel_async::SimpleAsyncConnection; let mut tx = tx; tx.batch_execute("COMMIT").await },
    rollback = |tx| { use diesel_async::SimpleAsyncConnection; let mut tx = tx; tx.batch_execute("ROLLBACK").await },
}

/// The client outside of a transaction, where each row commits by itself.
#[tokio::test]
async fn a_plain_client_of_tokio_postgres_takes_rows_too() {
    #[audited(event = "account.closed", id = id, tx = client)]
    async fn close(client: &mut tokio_postgres::Client, id: i64) -> Result<(), tokio_postgres::Error> {
        client.execute("INSERT INTO accounts VALUES ($1, 'closed')", &[&id]).await.map(drop)
    }
    let bank = Bank::open().await;
    let mut client = connect_by_tokio_postgres(&bank.database.url).await;
    bank.audit.scope(close(&mut client, 1)).await.unwrap();
    let ids = bank.audit.record_in(&mut client, odd_events()).await.unwrap();
    assert_eq!((ids.len(), bank.events().await.len()), (4, 5));
    bank.audit.shutdown(Duration::from_secs(30)).await.unwrap();
}

/// Any `diesel::Connection` to PostgreSQL. This one needs no libpq.
#[tokio::test]
async fn a_synchronous_connection_of_diesel_takes_events() {
    use diesel::Connection;
    use diesel::connection::SimpleConnection;
    type Synchronous = diesel_async::async_connection_wrapper::AsyncConnectionWrapper<diesel_async::AsyncPgConnection>;

    #[audited(event = "account.closed", err = "account.kept", id = id, tx = connection)]
    fn close<C>(connection: &mut C, id: i64) -> diesel::QueryResult<()>
    where
        C: Connection<Backend = diesel::pg::Pg>,
    {
        connection.batch_execute("INSERT INTO accounts VALUES (1, 'closed')")
    }

    #[audited(event = "account.dropped", err = "account.kept", id = id, tx = connection)]
    fn dropped(connection: &mut Synchronous, id: i64) -> diesel::QueryResult<()> {
        connection.batch_execute("INSERT INTO accounts VALUES (2, 'closed')")
    }

    let bank = Bank::open().await;
    let (url, audit, writer) = (bank.database.url.clone(), bank.audit.clone(), bank.writer.clone());
    let ids = tokio::task::spawn_blocking(move || {
        let mut connection = Synchronous::establish(&url).unwrap();
        let ids = connection.transaction(|connection| {
            connection.batch_execute(&format!("SET LOCAL ROLE {writer}")).unwrap();
            let context = Context::new().actor("user:kim");
            let _inside = context.enter();
            let ids = audit.record_in_blocking(connection, odd_events()).unwrap();
            let _audited = audit.enter();
            close(connection, 1)?;
            diesel::result::QueryResult::Ok(ids)
        });
        let rolled_back = connection.transaction(|connection| {
            audit.record_in_blocking(connection, odd_events()).unwrap();
            Err::<(), _>(diesel::result::Error::RollbackTransaction)
        });
        rolled_back.unwrap_err();
        // Diesel takes PostgreSQL's answer to this COMMIT, a rollback, for a success.
        let _ = connection.transaction(|connection| {
            connection.batch_execute("INSERT INTO accounts VALUES (1)").unwrap();
            let error = audit.record_in_blocking(connection, [Event::new("account.dropped")]).unwrap_err();
            assert!(error.to_string().contains("drops rows"), "{error}");
            assert!(connection.batch_execute("INSERT INTO accounts VALUES (1)").is_err(), "the transaction has failed");
            diesel::result::QueryResult::Ok(())
        });
        let _ = connection.transaction(|connection| {
            let _audited = audit.enter();
            dropped(connection, 2)
        });
        ids.unwrap()
    })
    .await
    .unwrap();
    bank.audit.flush().await.unwrap();
    assert_eq!((bank.events().await.len(), bank.accounts().await), (6, 1));
    let of_type = async |event_type: &str| {
        let events = bank.events().await;
        events
            .into_iter()
            .find(|event| event.event_type == event_type)
            .map(|event| (event.outcome, event.batch_id.is_some()))
    };
    assert_eq!(of_type("account.closed").await, Some((Outcome::Ok, false)));
    assert_eq!(of_type("account.kept").await, Some((Outcome::Error, true)), "by the journal");
    are_as_a_probe_shows(&bank, &ids, Context::new().actor("user:kim")).await;
    bank.audit.shutdown(Duration::from_secs(30)).await.unwrap();
}
