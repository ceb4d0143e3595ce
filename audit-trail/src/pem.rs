//! Certificates and keys in PEM form, with words for what is wrong with a file.

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;

/// Reads the certificates of a file, of which there is at least one.
///
/// # Errors
/// The file cannot be read or has none: the reason, with the remedy.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.and_then(|all| if all.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(all) });
    all.map_err(|error| words("certificate", error))
}

/// Reads the private key of a file.
///
/// # Errors
/// The file cannot be read or has none: the reason, with the remedy.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| words("private key", error))
}

fn words(what: &str, error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("it has no {what}; give a file in PEM form"),
        error => format!("{error}; give a file in PEM form"),
    }
}
