//! The certificates of CAs that a verifier trusts to name time-stamping authorities.

use super::error::TokenError;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use std::fs;
use std::path::Path;
use webpki::anchor_from_trusted_cert;

/// Certificates of CAs, to one of which the certificate of an authority has to lead.
#[derive(Debug, Clone)]
pub struct Authorities {
    pub(super) anchors: Vec<TrustAnchor<'static>>,
}

impl Authorities {
    /// Reads certificates in PEM.
    ///
    /// # Errors
    /// The text contains no certificate, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TokenError> {
        let mut anchors = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| TokenError::Ca(error.to_string()))?;
            let anchor = anchor_from_trusted_cert(&certificate).map_err(|error| TokenError::Ca(error.to_string()))?;
            anchors.push(anchor.to_owned());
        }
        if anchors.is_empty() {
            return Err(TokenError::Ca(
                "expected at least one certificate in PEM, as in -----BEGIN CERTIFICATE-----".into(),
            ));
        }
        Ok(Self { anchors })
    }

    /// Reads the certificates in a file, in PEM.
    ///
    /// # Errors
    /// The file cannot be read, or as [`from_pem`](Self::from_pem).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TokenError> {
        let path = path.as_ref();
        let pem = fs::read(path).map_err(|error| TokenError::Ca(format!("cannot read {}: {error}", path.display())))?;
        Self::from_pem(&pem)
    }
}
