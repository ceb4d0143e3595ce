//! Repositories on PostgreSQL: over a pool, a connection, an executor, whatever gives a connection,
//! a transaction.

use crate::scene::{ID, error, ok, recorded, tables};
use async_trait::async_trait;
use audit_runtime::audited;
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{Acquire, Executor, FromRow, PgConnection, PgExecutor, PgPool, Postgres, Transaction};
use std::error::Error;
use std::future::Future;
use std::iter::successors;
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum RepoError {
    #[error("the name {0:?} is taken")]
    Taken(String),
    #[error("no such user")]
    Missing,
    #[error("database")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Unrecorded(#[from] audit_runtime::RecordError),
}

type RepoResult<T = ()> = Result<T, RepoError>;

#[derive(Debug, Clone, Serialize, FromRow)]
struct User {
    id: Uuid,
    name: String,
    #[serde(skip)]
    cents: i64,
}

#[derive(Debug, Serialize)]
struct NewUser<'a> {
    id: Uuid,
    name: &'a str,
    password_hash: &'a str,
}

#[async_trait]
trait Users: Send + Sync {
    async fn create(&self, user: NewUser<'_>) -> RepoResult<User>;
    fn all(&self) -> BoxStream<'_, sqlx::Result<User>>;
}

struct PgUsers {
    pool: PgPool,
}

#[async_trait]
impl Users for PgUsers {
    // 28. A trait's method, over a pool: 2.
    #[audited(event = "user.created", id = user.id)]
    async fn create(&self, user: NewUser<'_>) -> RepoResult<User> {
        let inserted = sqlx::query_as("INSERT INTO users (id, name) VALUES ($1, $2) RETURNING *")
            .bind(user.id)
            .bind(user.name)
            .fetch_one(&self.pool)
            .await;
        inserted.map_err(|error| match &error {
            sqlx::Error::Database(refused) if refused.is_unique_violation() => RepoError::Taken(user.name.to_owned()),
            _ => error.into(),
        })
    }

    // 29. A stream of rows: 3.
    #[audited(event = "users.streamed", id = none, result = skip)]
    fn all(&self) -> BoxStream<'_, sqlx::Result<User>> {
        sqlx::query_as("SELECT * FROM users").fetch(&self.pool)
    }
}

/// Without a macro: the future is named in the trait, and an `async fn` in its implementation.
trait Balances {
    fn balance(&self, user_id: Uuid) -> impl Future<Output = RepoResult<i64>> + Send;
}

impl Balances for PgUsers {
    // 30. A method of such a trait: 1.
    #[audited(event = "user.balanced")]
    async fn balance(&self, user_id: Uuid) -> RepoResult<i64> {
        let cents = sqlx::query_scalar("SELECT cents FROM users WHERE id = $1").bind(user_id);
        cents.fetch_optional(&self.pool).await?.ok_or(RepoError::Missing)
    }
}

// 31. `&mut PgConnection`: 1.
#[audited(event = "user.renamed")]
async fn rename_user(connection: &mut PgConnection, user_id: Uuid, name: &str) -> RepoResult {
    let update = sqlx::query("UPDATE users SET name = $2 WHERE id = $1").bind(user_id).bind(name);
    match update.execute(connection).await?.rows_affected() {
        0 => Err(RepoError::Missing),
        _ => Ok(()),
    }
}

// 32. `impl PgExecutor<'_>`: 1.
#[audited(event = "user.found")]
async fn find_user(db: impl PgExecutor<'_>, user_id: Uuid) -> RepoResult<Option<User>> {
    Ok(sqlx::query_as("SELECT * FROM users WHERE id = $1").bind(user_id).fetch_optional(db).await?)
}

// 33. A generic executor: 1.
#[audited(event = "user.removed")]
async fn remove_user<'e, E>(executor: E, user_id: Uuid) -> sqlx::Result<u64>
where
    E: Executor<'e, Database = Postgres>,
{
    Ok(sqlx::query("DELETE FROM users WHERE id = $1").bind(user_id).execute(executor).await?.rows_affected())
}

// 34. `impl Acquire<'_>`, with a transaction of its own: 2.
#[audited(event = "money.moved", id = from)]
async fn move_money(db: impl Acquire<'_, Database = Postgres> + Send, from: Uuid, to: Uuid, cents: i64) -> RepoResult {
    let mut tx = db.begin().await?;
    for (user, by) in [(from, -cents), (to, cents)] {
        sqlx::query("UPDATE users SET cents = cents + $2 WHERE id = $1").bind(user).bind(by).execute(&mut *tx).await?;
    }
    Ok(tx.commit().await?)
}

// 35. In the caller's transaction, where a change without its record cannot be: 3.
#[audited(event = "balance.changed", id = user, tx = tx)]
async fn change_balance(tx: &mut Transaction<'_, Postgres>, user: Uuid, cents: i64) -> RepoResult<i64> {
    let update = "UPDATE users SET cents = cents + $2 WHERE id = $1 RETURNING cents";
    let changed = sqlx::query_scalar(update).bind(user).bind(cents).fetch_optional(&mut **tx).await?;
    changed.ok_or(RepoError::Missing)
}

/// Rows that are committed as one.
struct UnitOfWork<'c> {
    tx: Transaction<'c, Postgres>,
}

impl UnitOfWork<'_> {
    // 36. In a transaction that `self` has: 2.
    #[audited(event = "user.credited", tx = &mut self.tx)]
    async fn credit(&mut self, user_id: Uuid, cents: i64) -> RepoResult<User> {
        let update = "UPDATE users SET cents = cents + $2 WHERE id = $1 RETURNING *";
        let user = sqlx::query_as(update).bind(user_id).bind(cents).fetch_optional(&mut *self.tx).await?;
        user.ok_or(RepoError::Missing)
    }
}

// 37. Around a closure: 3.
#[audited(event = "batch.committed", err = "batch.rolled_back", id = none)]
async fn in_transaction<T, F>(pool: &PgPool, work: F) -> RepoResult<T>
where
    T: Serialize,
    F: AsyncFnOnce(&mut PgConnection) -> RepoResult<T>,
{
    let mut tx = pool.begin().await?;
    let done = work(&mut tx).await?;
    tx.commit().await?;
    Ok(done)
}

const USERS: &str = "
    CREATE TABLE users (id uuid PRIMARY KEY, name text UNIQUE, cents bigint NOT NULL DEFAULT 0 CHECK (cents >= 0));
    INSERT INTO users VALUES ('00000000-0000-0000-0000-000000000007', 'ann', 100),
        ('00000000-0000-0000-0000-000000000008', 'bob', 100);";

const OTHER: Uuid = Uuid::from_u128(8);
const NOBODY: Uuid = Uuid::from_u128(9);

fn missing() -> Value {
    json!({"message": "no such user", "causes": []})
}

/// Returns an error's text, if PostgreSQL refused by this constraint. (Its words depend on its
/// version.)
fn violates(constraint: &str, error: &dyn Error) -> Value {
    let causes: Vec<String> = successors(error.source(), |&cause| cause.source()).map(ToString::to_string).collect();
    assert!(causes.iter().all(|cause| cause.contains(constraint)) && causes.len() == 2, "{causes:?}");
    json!({"message": error.to_string(), "causes": causes})
}

#[tokio::test]
async fn methods_of_repositories_record_what_they_give_and_what_is_missing() {
    let users = PgUsers { pool: tables("repository", USERS).await };
    let create = |id, name| users.create(NewUser { id, name, password_hash: "$argon2id$v=19" });
    let ((), rows) = recorded(async {
        create(NOBODY, "ann").await.unwrap_err();
        assert_eq!(create(NOBODY, "eve").await.unwrap().cents, 0);
        assert_eq!(users.all().try_collect::<Vec<_>>().await.unwrap().len(), 3);
        assert_eq!(users.balance(ID).await.unwrap(), 100);
        users.balance(Uuid::nil()).await.unwrap_err();
    })
    .await;
    let user = |name: &str| json!({"id": NOBODY, "name": name, "password_hash": "[redacted]"});
    let taken = json!({"message": "the name \"ann\" is taken", "causes": []});
    let expected = [
        error("user.created", NOBODY, json!({"user": user("ann"), "error": taken})),
        ok("user.created", NOBODY, json!({"user": user("eve"), "result": {"id": NOBODY, "name": "eve"}})),
        ok("users.streamed", None, json!({})),
        ok("user.balanced", ID, json!({"user_id": ID, "result": 100})),
        error("user.balanced", Uuid::nil(), json!({"user_id": Uuid::nil(), "error": missing()})),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn functions_over_connections_and_executors_record_what_the_database_says() {
    let pool = tables("executor", USERS).await;
    let ((taken, below_zero), rows) = recorded(async {
        let mut connection = pool.acquire().await.unwrap();
        rename_user(&mut connection, ID, "anna").await.unwrap();
        let taken = rename_user(&mut connection, ID, "bob").await.unwrap_err();
        rename_user(&mut connection, NOBODY, "eve").await.unwrap_err();
        assert!(find_user(&mut *connection, NOBODY).await.unwrap().is_none());
        drop(connection);
        assert_eq!(find_user(&pool, ID).await.unwrap().unwrap().name, "anna");
        move_money(&pool, ID, OTHER, 30).await.unwrap();
        let mut tx = pool.begin().await.unwrap();
        let below_zero = move_money(&mut tx, ID, OTHER, 71).await.unwrap_err();
        tx.rollback().await.unwrap();
        assert_eq!(remove_user(&pool, ID).await.unwrap(), 1);
        pool.close().await;
        remove_user(&pool, OTHER).await.unwrap_err();
        (taken, below_zero)
    })
    .await;
    let named = |id: Uuid, name: &str| json!({"user_id": id, "name": name});
    let with = |mut data: Value, error: Value| {
        data["error"] = error;
        data
    };
    let moved = |cents: u8| json!({"from": ID, "to": OTHER, "cents": cents});
    let closed = "attempted to acquire a connection on a closed pool";
    let expected = [
        ok("user.renamed", ID, named(ID, "anna")),
        error("user.renamed", ID, with(named(ID, "bob"), violates("users_name_key", &taken))),
        error("user.renamed", NOBODY, with(named(NOBODY, "eve"), missing())),
        ok("user.found", NOBODY, json!({"user_id": NOBODY, "result": null})),
        ok("user.found", ID, json!({"user_id": ID, "result": {"id": ID, "name": "anna"}})),
        ok("money.moved", ID, moved(30)),
        error("money.moved", ID, with(moved(71), violates("users_cents_check", &below_zero))),
        ok("user.removed", ID, json!({"user_id": ID, "result": 1})),
        error("user.removed", OTHER, json!({"user_id": OTHER, "error": {"message": closed, "causes": []}})),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_call_in_a_transaction_is_recorded_with_its_commit() {
    let pool = tables("unit", USERS).await;
    let (below_zero, rows) = recorded(async {
        let mut tx = pool.begin().await.unwrap();
        assert_eq!(change_balance(&mut tx, ID, 5).await.unwrap(), 105);
        change_balance(&mut tx, NOBODY, 5).await.unwrap_err();
        tx.commit().await.unwrap();
        for commits in [true, false] {
            let mut unit = UnitOfWork { tx: pool.begin().await.unwrap() };
            let cents = if commits { 1 } else { 2 };
            assert_eq!(unit.credit(ID, cents).await.unwrap().name, "ann");
            if commits { unit.tx.commit().await.unwrap() } else { unit.tx.rollback().await.unwrap() }
        }
        let moved =
            in_transaction(&pool, async |connection| move_money(connection, OTHER, ID, 7).await.map(|()| "moved"));
        assert_eq!(moved.await.unwrap(), "moved");
        let lost = in_transaction(&pool, async |connection| move_money(connection, OTHER, ID, 94).await);
        lost.await.unwrap_err()
    })
    .await;
    let moved = |cents: u8| json!({"from": OTHER, "to": ID, "cents": cents});
    let mut below = moved(94);
    let below_zero = violates("users_cents_check", &below_zero);
    below["error"] = below_zero.clone();
    let expected = [
        ok("balance.changed", ID, json!({"user": ID, "cents": 5, "result": 105})),
        error("balance.changed", NOBODY, json!({"user": NOBODY, "cents": 5, "error": missing()})),
        ok("user.credited", ID, json!({"user_id": ID, "cents": 1, "result": {"id": ID, "name": "ann"}})),
        ok("batch.committed", None, json!({"result": "moved"})),
        ok("money.moved", OTHER, moved(7)),
        error("batch.rolled_back", None, json!({"error": below_zero})),
        error("money.moved", OTHER, below),
    ];
    assert_eq!(rows, expected);
}
