//! Seals, checkpoints, verification: what is found, and that nothing else is.

mod attacks;
mod chains;
mod checkpoints;
mod erasure;
mod forms;
mod hostile;
mod independent;
mod partitions;
mod places;
mod retention;
mod roles;
mod scene;
mod subjects;
mod unharmed;

/// A step that takes long can run in a task of its own.
#[tokio::test]
async fn everything_that_waits_is_send() {
    fn is_send<T: Send>(_: &T) {}
    let pool = sqlx::PgPool::connect_lazy("postgres://127.0.0.1:1/x").unwrap();
    let key = audit_runtime::evidence::SigningKey::generate("test").unwrap();
    let admin = audit_runtime::admin::Admin::new(pool.clone());
    is_send(&admin.migrate());
    is_send(&admin.pending_migration());
    is_send(&admin.make_partitions(|_| {}));
    is_send(&admin.compact_partitions(|_| {}));
    is_send(&admin.assign_tenant("x", "y"));
    is_send(&admin.grant(audit_runtime::admin::Role::Reader, "x"));
    is_send(&admin.forget("x"));
    is_send(&admin.prune(&audit_runtime::admin::Prune::new(chrono::DateTime::UNIX_EPOCH), |_| {}));
    let hold = audit_runtime::admin::Hold::new();
    is_send(&admin.add_hold(&hold, ""));
    is_send(&admin.holds(true));
    is_send(&admin.lift_hold(uuid::Uuid::nil(), ""));
    is_send(&admin.reimport("", true, |_| {}));
    is_send(&admin.checkpoint(&key));
    is_send(&admin.rotate_key(&key, &key, &[]));
    let master = audit_runtime::MasterKey::generate();
    is_send(&admin.rotate_master_key(&master, |_| {}));
    is_send(&admin.check_master_key(&master));
    is_send(&admin.prove(uuid::Uuid::nil()));
    is_send(&admin.prove_archived(""));
    is_send(&admin.verify(&audit_runtime::evidence::Verification::new(), |_| {}));
}
