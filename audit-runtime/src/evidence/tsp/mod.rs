//! Time stamps by RFC 3161: an authority signs that a hash existed at an instant.
//!
//! ```text
//! checkpoint   its note -> SHA-256 -> request, with a nonce
//! authority    token: CMS signed data (RFC 5652) of the hash, the instant, the nonce
//! verifier     hash, signature, certificate (RFC 3161, section 2.3), and its chain to given CA certificates
//! ```
//!
//! Revocation lists are not read. The certificate must be valid at the instant in the token.

mod authorities;
mod certificate;
mod error;
mod messages;
mod request;
mod signature;
mod token;

pub use authorities::Authorities;
pub use error::TokenError;
pub use request::TokenRequest;
pub use token::Existence;
pub(super) use token::verify;
