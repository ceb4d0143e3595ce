//! TLS to targets, by rustls.

use super::{TargetError, TargetOptions};
use crate::pem::{certificates, private_key};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// The configuration for a target: certificates of a file, or of the system.
pub(super) fn client(options: &TargetOptions) -> Result<ClientConfig, TargetError> {
    let roots = match &options.ca {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path).map_err(|why| failed("--ca", path, &why))? {
                roots.add(certificate).map_err(|error| failed("--ca", path, &error.to_string()))?;
            }
            roots
        }
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TargetError(error.to_string()))?
        .with_root_certificates(roots);
    match &options.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let chain = certificates(certificate).map_err(|why| failed("--cert", certificate, &why))?;
            let secret = private_key(key).map_err(|why| failed("--cert-key", key, &why))?;
            let config = builder.with_client_auth_cert(chain, secret);
            config.map_err(|error| failed("--cert", certificate, &error.to_string()))
        }
    }
}

fn failed(option: &str, path: &Path, why: &str) -> TargetError {
    TargetError(format!("{option} {}: {why}", path.display()))
}
