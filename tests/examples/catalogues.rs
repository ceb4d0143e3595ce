//! The catalogues of the example services, as each stores its own: a change of an attribute changes the snapshot.

use audit_runtime::trail::{StoredCatalogue, Trail};
use insta::assert_snapshot;
use tests::Database;

/// The one catalogue that a service has stored, as text.
pub async fn shown(database: &Database, service: &str) -> String {
    let catalogues = Trail::new(database.pool.clone()).catalogues(Some(service)).await.unwrap();
    let [StoredCatalogue { functions, .. }] = &*catalogues else { panic!("one catalogue: {catalogues:?}") };
    functions.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Compares it with the snapshot of the service.
pub async fn is_as_before(database: &Database, service: &str) {
    assert_snapshot!(service.to_owned(), shown(database, service).await);
}
