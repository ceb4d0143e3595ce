//! The reasons to refuse a time stamp.

/// The reason a time stamp proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The bytes are not an answer or a token of RFC 3161.
    #[error("invalid time stamp: {0}")]
    Malformed(String),
    /// The authority answered without a token.
    #[error("the authority refused the request: {0}")]
    Refused(String),
    /// The token is of other bytes.
    #[error("the time stamp is of another note, or the note was changed")]
    Note,
    /// The token answers another request.
    #[error("the time stamp answers another request: its nonce differs")]
    Nonce,
    /// The signature does not verify.
    #[error("the signature of the time stamp does not verify: {0}")]
    Signature(String),
    /// An algorithm that this program does not accept.
    #[error(
        "the time stamp uses an algorithm that is not accepted: {0}; use an authority that signs by SHA-256 or better"
    )]
    Algorithm(String),
    /// The certificate must not sign time stamps, or not at that instant.
    #[error("the certificate of {0}")]
    Certificate(String),
    /// None of the given CA certificates leads to the authority's.
    #[error("the authority {0} is not one that the given CA certificates lead to: {1}")]
    Authority(String, String),
    /// The text or file of CA certificates cannot be read.
    #[error("invalid CA certificates: {0}")]
    Ca(String),
}

impl TokenError {
    pub(super) fn malformed(what: &str) -> impl FnOnce(der::Error) -> Self + '_ {
        move |error| Self::Malformed(format!("{what}: {error}"))
    }
}
