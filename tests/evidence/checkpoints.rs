//! The evidence about checkpoints in the database alone, when nobody has kept a copy.

use crate::scene::{Scene, as_superuser};
use audit_runtime::admin::Admin;
use audit_runtime::evidence::FindingKind;
use sqlx::Executor;

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_that_are_gone_or_cannot_be_gone_on_from_are_found_without_a_copy() {
    let scene = Scene::new(77).await;
    let pool = &scene.database.pool;
    // One that covers more than the one before: what it covered is in the tree.
    let insert = "INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.thing', 'a')";
    pool.execute(insert).await.unwrap();
    Admin::new(pool.clone()).checkpoint(&scene.key).await.unwrap();
    pool.execute("CREATE TABLE kept AS TABLE audit_checkpoints").await.unwrap();
    for (attack, said) in [
        (
            "DELETE FROM audit_checkpoints WHERE id = (SELECT max(id) FROM audit_checkpoints)",
            "it grows with checkpoints only",
        ),
        ("DELETE FROM audit_checkpoints", "no checkpoint was made yet, or all were removed"),
        (
            "UPDATE audit_checkpoints SET frontier = set_byte(frontier, 0, get_byte(frontier, 0) # 1)",
            "its frontier does not belong to its root",
        ),
    ] {
        as_superuser(pool, attack).await;
        let (findings, _) = scene.database.verify(Some(scene.key.public()), &[]).await;
        let is_said = findings.iter().any(|found| found.kind == FindingKind::Checkpoint && found.text.contains(said));
        assert!(is_said, "{attack}: {findings:#?}");
        let restore = "DELETE FROM audit_checkpoints; INSERT INTO audit_checkpoints OVERRIDING SYSTEM VALUE TABLE kept";
        as_superuser(pool, restore).await;
    }
    let (findings, _) = scene.database.verify(Some(scene.key.public()), &[]).await;
    assert!(findings.is_empty(), "the attacks are undone: {findings:#?}");
}
