//! The request to an authority, and its answer.

use super::authorities::Authorities;
use super::error::TokenError;
use super::messages::{LIMIT, MessageImprint, SHA_256, TimeStampReq, TimeStampResp, read};
use super::token::{Existence, read_and_verify};
use cms::cert::x509::spki::AlgorithmIdentifierOwned;
use der::Encode;
use der::asn1::{Int, OctetString};
use rand_core::{OsRng, RngCore};
use ring::digest::{SHA256, digest};

/// A request for a time stamp of a checkpoint's note.
///
/// Its [`bytes`](Self::bytes) go to the authority, over HTTP as the body of a POST with the type
/// `application/timestamp-query`.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    note: String,
    nonce: Int,
    bytes: Vec<u8>,
}

/// The bits of a failure, from RFC 3161 section 2.4.2.
const FAILURES: [(usize, &str); 8] = [
    (0, "unrecognized or unsupported hash algorithm"),
    (2, "the request is not permitted"),
    (5, "the request is malformed"),
    (14, "the authority's clock is not available"),
    (15, "the policy is not supported"),
    (16, "an extension is not supported"),
    (17, "additional information is not available"),
    (25, "system failure"),
];

impl TokenRequest {
    /// The most bytes that an answer may have.
    pub const ANSWER_LIMIT: usize = LIMIT;

    /// Makes a request for a note, with a random nonce.
    ///
    /// # Errors
    /// The request cannot be encoded.
    pub fn new(note: impl Into<String>) -> Result<Self, TokenError> {
        let note = note.into();
        // A positive integer of eight bytes, without a zero in front.
        let nonce = (OsRng.next_u64() >> 1) | (1 << 62);
        let encoded = || {
            let hash = OctetString::new(digest(&SHA256, note.as_bytes()).as_ref())?;
            let algorithm = AlgorithmIdentifierOwned { oid: SHA_256, parameters: Some(der::asn1::Any::null()) };
            let nonce = Int::new(&nonce.to_be_bytes())?;
            let imprint = MessageImprint { algorithm, hash };
            let request = TimeStampReq { version: 1, imprint, nonce: nonce.clone(), wants_certificate: true };
            Ok((nonce, request.to_der()?))
        };
        let (nonce, bytes) = encoded().map_err(TokenError::malformed("the request"))?;
        Ok(Self { note, nonce, bytes })
    }

    /// Returns the request in DER.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Verifies the authority's answer, and returns the token in it with what it proves.
    ///
    /// Without `authorities`, the token must be signed by the certificate in it, which anybody could
    /// have made.
    ///
    /// # Errors
    /// The authority refused, or the token is not one of this note and this request, or its signature
    /// or its certificate does not verify.
    pub fn accept(&self, answer: &[u8], authorities: Option<&Authorities>) -> Result<(Vec<u8>, Existence), TokenError> {
        if answer.len() > LIMIT {
            return Err(TokenError::Malformed(format!("it has more than {LIMIT} bytes")));
        }
        let answer: TimeStampResp = read(answer).map_err(TokenError::malformed("the answer"))?;
        let status = answer.status;
        let token = match (status.status, answer.token) {
            // Granted, also with changes, which the checks of the token find.
            (0 | 1, Some(token)) => token,
            (status_code, _) => {
                let bits = status.failure.iter().flat_map(|bits| bits.bits().enumerate()).filter(|(_, bit)| *bit);
                let named =
                    bits.filter_map(|(at, _)| FAILURES.iter().find(|(bit, _)| *bit == at)).map(|(_, text)| *text);
                let texts = status.texts.iter().flatten().map(String::as_str);
                let why: Vec<&str> = named.chain(texts).collect();
                let why = if why.is_empty() { "it gives no reason".to_owned() } else { why.join("; ") };
                return Err(TokenError::Refused(format!("status {status_code}, {why}")));
            }
        };
        let token = token.to_der().map_err(TokenError::malformed("the token"))?;
        let (existence, nonce) = read_and_verify(&token, &self.note, authorities)?;
        if nonce.as_ref() == Some(&self.nonce) { Ok((token, existence)) } else { Err(TokenError::Nonce) }
    }
}
