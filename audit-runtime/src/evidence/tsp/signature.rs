//! The algorithms of tokens: those of ring, and SHA-1 only to tell which certificate is meant.

use super::error::TokenError;
use super::messages::SHA_256;
use der::asn1::ObjectIdentifier;
use ring::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::{EndEntityCert, ring as algorithms};

pub(super) const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const RSA_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// Hashes by an algorithm that signatures may use.
pub(super) fn hash(algorithm: ObjectIdentifier, bytes: &[u8]) -> Result<Vec<u8>, TokenError> {
    let by = match algorithm {
        SHA_256 => &SHA256,
        SHA_384 => &SHA384,
        SHA_512 => &SHA512,
        other => return Err(TokenError::Algorithm(format!("the hash {other}"))),
    };
    Ok(digest::digest(by, bytes).as_ref().to_vec())
}

/// Hashes a certificate as the token names it. Nothing depends on SHA-1 alone: the certificate's key
/// has to verify the signature.
pub(super) fn hash_of_certificate(algorithm: ObjectIdentifier, bytes: &[u8]) -> Result<Vec<u8>, TokenError> {
    match algorithm {
        SHA_1 => Ok(digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()),
        other => hash(other, bytes),
    }
}

/// Verifies a signature by the key of a certificate.
pub(super) fn verify(
    certificate: &EndEntityCert<'_>,
    (algorithm, digest): (ObjectIdentifier, ObjectIdentifier),
    message: &[u8],
    signature: &[u8],
) -> Result<(), TokenError> {
    let (first, second): (Algorithm, Option<Algorithm>) = match (algorithm, digest) {
        (RSA_SHA_256, _) | (RSA, SHA_256) => (algorithms::RSA_PKCS1_2048_8192_SHA256, None),
        (RSA_SHA_384, _) | (RSA, SHA_384) => (algorithms::RSA_PKCS1_2048_8192_SHA384, None),
        (RSA_SHA_512, _) | (RSA, SHA_512) => (algorithms::RSA_PKCS1_2048_8192_SHA512, None),
        (RSA_PSS, SHA_256) => (algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY, None),
        (RSA_PSS, SHA_384) => (algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY, None),
        (RSA_PSS, SHA_512) => (algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY, None),
        (ECDSA_SHA_256, _) => (algorithms::ECDSA_P256_SHA256, Some(algorithms::ECDSA_P384_SHA256)),
        (ECDSA_SHA_384, _) => (algorithms::ECDSA_P256_SHA384, Some(algorithms::ECDSA_P384_SHA384)),
        (ED25519, _) => (algorithms::ED25519, None),
        (other, _) => return Err(TokenError::Algorithm(format!("the signature {other}"))),
    };
    // ECDSA names the hash alone, and the key has one of two curves.
    let verify = |by: Algorithm| certificate.verify_signature(by, message, signature);
    let verified = verify(first).or_else(|error| second.map_or(Err(error), verify));
    verified.map_err(|error| TokenError::Signature(error.to_string()))
}
