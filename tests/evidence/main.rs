//! Seals, checkpoints, verification: what is found, and that nothing else is.

mod attacks;
mod chains;
mod checkpoints;
mod erasure;
mod independent;
mod partitions;
mod retention;
mod roles;
mod scene;
mod unharmed;

/// Whatever takes long can be given to a task of its own.
#[tokio::test]
async fn everything_that_waits_is_send() {
    fn is_send<T: Send>(_: &T) {}
    let pool = sqlx::PgPool::connect_lazy("postgres://127.0.0.1:1/x").unwrap();
    let key = audit_runtime::evidence::SigningKey::generate("test").unwrap();
    is_send(&audit_runtime::migrate(&pool));
    is_send(&audit_runtime::make_partitions(&pool, |_| {}));
    is_send(&audit_runtime::grant(&pool, audit_runtime::Duty::Reader, "x"));
    is_send(&audit_runtime::forget(&pool, "x", None));
    is_send(&audit_runtime::Prune::new(chrono::DateTime::UNIX_EPOCH).run(&pool, |_| {}));
    is_send(&audit_runtime::evidence::checkpoint(&pool, &key));
    is_send(&audit_runtime::evidence::prove(&pool, uuid::Uuid::nil()));
    is_send(&audit_runtime::evidence::prove_archived(&pool, ""));
    is_send(&audit_runtime::evidence::Verification::new(pool.clone()).run(|_| {}));
}
