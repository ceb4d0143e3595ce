//! Holds the copy of the names that denote secrets equal to that of audit-runtime.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The texts of `secret.rs` and of the files in `secret/`, by their names.
fn sources(folder: &Path) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::from([("secret.rs".to_owned(), fs::read_to_string(folder.join("secret.rs")).unwrap())]);
    for entry in fs::read_dir(folder.join("secret")).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("secret/{}", path.file_name().unwrap().display());
        texts.insert(name, fs::read_to_string(path).unwrap());
    }
    texts
}

#[test]
fn the_macros_know_the_same_secrets_as_the_runtime() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (copy, original) = (sources(&root.join("src")), sources(&root.join("../audit-runtime/src/capture")));
    assert!(original.len() > 2 && original.keys().eq(copy.keys()), "{:?}, {:?}", original.keys(), copy.keys());
    let different: Vec<_> =
        original.iter().filter(|(name, text)| copy[*name] != **text).map(|(name, _)| name).collect();
    assert!(
        different.is_empty(),
        "{different:?} differ from audit-runtime's; run cp -r audit-runtime/src/capture/secret* audit-macros/src/"
    );
}
