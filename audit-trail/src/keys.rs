//! Keys on the command line: a file, or after a `|` a command that prints the key, or a variable.

use crate::environment::variable;
use crate::failure::Failure;
use audit_runtime::__private::private_file;
use audit_runtime::evidence::{SigningKey, SigningKeyError};
use audit_runtime::{MasterKey, MasterKeyError};
use std::io::{self, Write};
use std::path::Path;

/// Where the signing key is, if none is named.
const SIGNING: &str = "AUDIT_CHECKPOINT_KEY";
/// Where the master key is, if none is named.
const MASTER: &str = "AUDIT_MASTER_KEY";

/// Reads a secret that an option names: from a file of mode 0600, or from a command behind a `|`.
#[cfg(feature = "forward")]
pub(crate) fn secret(option: &str, given: &str) -> Result<String, Failure> {
    let read = match given.strip_prefix('|') {
        Some(command) => audit_runtime::__private::secret::from_command(command),
        None => audit_runtime::__private::secret::from_file(Path::new(given)),
    };
    let text = read.map_err(|error| Failure::Usage(format!("{option} {given}: {error}")))?;
    let text = text.trim();
    if text.is_empty() { Err(Failure::Usage(format!("{option} {given}: it is empty"))) } else { Ok(text.to_owned()) }
}

/// Reads a signing key from a file, or from a command behind a `|`.
pub(crate) fn read_signing_key(given: &str) -> Result<SigningKey, SigningKeyError> {
    match given.strip_prefix('|') {
        Some(command) => SigningKey::from_command(command),
        None => SigningKey::from_file(given),
    }
}

/// Reads a master key from a file, or from a command behind a `|`.
pub(crate) fn read_master_key(given: &str) -> Result<MasterKey, MasterKeyError> {
    match given.strip_prefix('|') {
        Some(command) => MasterKey::from_command(command),
        None => MasterKey::from_file(given),
    }
}

/// Reads a signing key that an option names.
pub(crate) fn signing_key(option: &str, given: &str) -> Result<SigningKey, Failure> {
    read_signing_key(given).map_err(|error| Failure::Usage(format!("{option} {given}: {error}")))
}

/// Reads the signing key of `--key`, or of the environment.
pub(crate) fn own_signing_key(given: Option<&str>) -> Result<SigningKey, Failure> {
    match given {
        Some(given) => signing_key("--key", given),
        None if variable(SIGNING).is_none() => Err(Failure::Usage(format!(
            "missing key: give --key FILE or set {SIGNING}; audit-trail checkpoint --new-key NAME --key FILE makes one"
        ))),
        None => SigningKey::from_env(SIGNING).map_err(|error| Failure::Usage(format!("{SIGNING}: {error}"))),
    }
}

/// Returns whether the environment has a signing key.
#[cfg(feature = "lake")]
pub(crate) fn has_signing_key() -> bool {
    variable(SIGNING).is_some()
}

/// Reads a master key that an option or an argument names.
pub(crate) fn one_master_key(option: &str, given: &str) -> Result<MasterKey, Failure> {
    read_master_key(given).map_err(|error| Failure::Usage(format!("{option}: {error}")))
}

/// Reads the master keys of `--master-key`, the one in force first, or that of the environment.
pub(crate) fn master_key(given: &[String]) -> Result<Option<MasterKey>, Failure> {
    let keys = given.iter().map(|given| one_master_key("--master-key", given)).collect::<Result<Vec<_>, _>>()?;
    if let Some(key) = keys.into_iter().reduce(MasterKey::with_older) {
        return Ok(Some(key));
    }
    match variable(MASTER) {
        Some(_) => MasterKey::from_env(MASTER).map(Some).map_err(|error| Failure::Usage(format!("{MASTER}: {error}"))),
        None => Ok(None),
    }
}

/// Writes a key to a new file that only its owner may read.
pub(crate) fn keep_secret(path: &Path, key: &str) -> Result<(), Failure> {
    let mut file = private_file::create(path).map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::AlreadyExists { "; a key is never overwritten" } else { "" };
        Failure::Other(format!("{}: {error}{hint}", path.display()))
    })?;
    writeln!(file, "{key}")?;
    Ok(file.sync_all()?)
}
