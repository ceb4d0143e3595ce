//! The functions of all versions, each once.

use audit_runtime::catalogue::AuditedFunction;
use audit_runtime::trail::StoredCatalogue;
use serde::Serialize;
use std::collections::BTreeMap;

/// A function of a service, as the last version with it describes it.
#[derive(Debug, Serialize)]
pub(super) struct Listed<'a> {
    pub(super) service: &'a str,
    /// The first version that has it.
    pub(super) first_version: String,
    /// The last one.
    pub(super) last_version: String,
    /// Whether that is the newest version of the service.
    pub(super) is_current: bool,
    /// The rules of the service's policy that may be about its events.
    pub(super) rules: Vec<String>,
    #[serde(flatten)]
    pub(super) function: &'a AuditedFunction,
}

/// Returns the functions by service and path. The catalogues are in the order of their times.
pub(super) fn listed(catalogues: &[StoredCatalogue]) -> Vec<Listed<'_>> {
    let newest: BTreeMap<&str, usize> =
        catalogues.iter().enumerate().map(|(at, catalogue)| (catalogue.service.as_str(), at)).collect();
    let mut functions: BTreeMap<_, Listed<'_>> = BTreeMap::new();
    for (at, catalogue) in catalogues.iter().enumerate() {
        let service = catalogue.service.as_str();
        for function in &catalogue.functions {
            // Methods of two types in a module have one path.
            let key = (service, &function.function, &function.events, &function.entity_type);
            let version = version(catalogue);
            let listed = functions.entry(key).or_insert_with(|| Listed {
                service,
                first_version: version.clone(),
                last_version: String::new(),
                is_current: false,
                rules: Vec::new(),
                function,
            });
            listed.function = function;
            listed.last_version = version;
            listed.is_current = newest.get(service) == Some(&at);
        }
    }
    functions.into_values().collect()
}

/// Returns the version, or the day on which it was first seen.
pub(super) fn version(catalogue: &StoredCatalogue) -> String {
    if !catalogue.version.is_empty() {
        return catalogue.version.clone();
    }
    let time = catalogue.first_seen_at.to_string();
    time.split('T').next().unwrap_or(&time).to_owned()
}
