//! The functions of all versions, each once.

use audit_runtime::Timestamp;
use audit_runtime::catalogue::AuditedFunction;
use audit_runtime::trail::StoredCatalogue;
use serde::Serialize;
use std::collections::BTreeMap;

/// A function of a service, as the last version with it describes it.
#[derive(Debug, Serialize)]
pub(crate) struct Listed<'a> {
    pub(crate) service: &'a str,
    /// The first version that has it.
    pub(crate) first_version: String,
    /// The last one.
    pub(crate) last_version: String,
    /// Whether that is the newest version of the service.
    pub(crate) is_current: bool,
    /// The rules of the service's policy that may be about its events.
    pub(crate) rules: Vec<String>,
    #[serde(flatten)]
    pub(crate) function: &'a AuditedFunction,
}

impl Listed<'_> {
    /// Returns the versions that have it, in words.
    pub(crate) fn versions(&self) -> String {
        let (first, last) = (&self.first_version, &self.last_version);
        match (self.is_current, first == last) {
            (true, _) => format!("since {first}"),
            (false, true) => format!("{first} only"),
            (false, false) => format!("{first} to {last}"),
        }
    }
}

/// A service, with those of its functions that are listed.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    pub(crate) name: &'a str,
    /// The newest version.
    pub(crate) version: String,
    /// The time at which it was first seen.
    pub(crate) first_seen_at: Timestamp,
    pub(crate) functions: &'a [Listed<'a>],
}

impl Service<'_> {
    /// Returns how many functions have personal data.
    pub(crate) fn personal(&self) -> usize {
        self.functions.iter().filter(|listed| listed.function.personal().next().is_some()).count()
    }
}

/// Returns the services of functions that are in the order of [`listed`].
pub(crate) fn by_service<'a>(catalogues: &'a [StoredCatalogue], functions: &'a [Listed<'a>]) -> Vec<Service<'a>> {
    let service = |functions: &'a [Listed<'a>]| {
        let name = functions.first()?.service;
        let newest = catalogues.iter().rfind(|catalogue| catalogue.service == name)?;
        Some(Service { name, version: version(newest), first_seen_at: newest.first_seen_at, functions })
    };
    functions.chunk_by(|one, other| one.service == other.service).filter_map(service).collect()
}

/// Returns the functions of each service's newest version, or those of all versions, by service and
/// path. The catalogues are in the order of their times.
pub(crate) fn listed(catalogues: &[StoredCatalogue], all: bool) -> Vec<Listed<'_>> {
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
    functions.into_values().filter(|listed| all || listed.is_current).collect()
}

/// Returns the version, or the day on which it was first seen.
fn version(catalogue: &StoredCatalogue) -> String {
    if !catalogue.version.is_empty() {
        return catalogue.version.clone();
    }
    let time = catalogue.first_seen_at.to_string();
    time.split('T').next().unwrap_or(&time).to_owned()
}
