//! The token of an authority, verified without a network.

use super::authorities::Authorities;
use super::certificate;
use super::error::TokenError;
use super::messages::{ContentInfo, LIMIT, SHA_256, SIGNED_DATA, SigningCertificate, TST_INFO, TstInfo, read};
use super::signature::{self, SHA_1};
use crate::event::Timestamp;
use cms::signed_data::SignedAttributes;
use der::asn1::{Any, Int, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Tag, Tagged};
use rustls_pki_types::CertificateDer;
use std::fmt;
use std::time::Duration;
use webpki::EndEntityCert;

const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// An instant at which something existed, as an authority signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Existence {
    /// The instant.
    pub at: Timestamp,
    /// The most by which the instant may be wrong, if the authority states it.
    pub accuracy: Option<Duration>,
    /// The name in the authority's certificate.
    pub authority: String,
    /// Whether a given CA certificate leads to the authority's. If not, anybody could have signed it.
    pub is_trusted: bool,
}

impl Existence {
    /// Returns the instant since which it is proven to exist: that of the token, later by its accuracy.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.at.saturating_add(self.accuracy.unwrap_or_default())
    }

    /// Returns in words by what the instant is known: the authority, and whether it is trusted.
    #[must_use]
    pub fn source(&self) -> String {
        let accuracy = self.accuracy.filter(|accuracy| !accuracy.is_zero());
        let accuracy = accuracy.map_or_else(String::new, |accuracy| format!(", to within {accuracy:?}"));
        let trusted = if self.is_trusted { "" } else { ", not verified by a CA certificate" };
        format!("time stamp of {}{accuracy}{trusted}", self.authority)
    }
}

impl fmt::Display for Existence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.at, self.source())
    }
}

/// Verifies the token of a note.
pub(in crate::evidence) fn verify(
    token: &[u8],
    note: &str,
    authorities: Option<&Authorities>,
) -> Result<Existence, TokenError> {
    read_and_verify(token, note, authorities).map(|(existence, _)| existence)
}

/// Does so, and returns the nonce too.
pub(super) fn read_and_verify(
    token: &[u8],
    note: &str,
    authorities: Option<&Authorities>,
) -> Result<(Existence, Option<Int>), TokenError> {
    if token.len() > LIMIT {
        return Err(TokenError::Malformed(format!("it has more than {LIMIT} bytes")));
    }
    let malformed = |text: &str| TokenError::Malformed(text.into());
    let token: ContentInfo = read(token).map_err(TokenError::malformed("the token"))?;
    let data = token.content;
    if token.content_type != SIGNED_DATA || data.content.econtent_type != TST_INFO {
        return Err(malformed("it is signed data of another kind"));
    }
    let content = data.content.econtent.ok_or_else(|| malformed("it is empty"))?;
    let content = content.decode_as::<OctetString>().map_err(TokenError::malformed("its content"))?;
    let info: TstInfo = read(content.as_bytes()).map_err(TokenError::malformed("its content"))?;
    if info.version != 1 {
        return Err(TokenError::Malformed(format!("it has version {}, and 1 is known", info.version)));
    }
    let hash = signature::hash(info.imprint.algorithm.oid, note.as_bytes())?;
    if info.imprint.hash.as_bytes() != hash {
        return Err(TokenError::Note);
    }
    let at = instant(&info.time).ok_or_else(|| malformed("its time is not one of RFC 3161"))?;

    let [signer] = data.signers.0.as_slice() else {
        return Err(malformed("it has not exactly one signer"));
    };
    let attributes = signer.signed_attrs.as_ref().ok_or_else(|| malformed("it has no signed attributes"))?;
    let digest = signature::hash(signer.digest_alg.oid, content.as_bytes())?;
    let digest = OctetString::new(digest).map_err(TokenError::malformed("its digest"))?;
    if !is(attributes, CONTENT_TYPE, &TST_INFO)? || !is(attributes, MESSAGE_DIGEST, &digest)? {
        return Err(TokenError::Signature("its content is not what was signed".into()));
    }
    let certificates = data.certificates.unwrap_or_default();
    let mut certificates: Vec<CertificateDer<'static>> = certificates
        .iter()
        // Those of other kinds have other tags.
        .filter(|certificate| certificate.tag() == Tag::Sequence)
        .filter_map(|certificate| certificate.to_der().ok().map(CertificateDer::from))
        .collect();
    let (algorithm, wanted) = signer_of(attributes)?;
    let mut place = None;
    for (at, certificate) in certificates.iter().enumerate() {
        if signature::hash_of_certificate(algorithm, certificate)? == wanted {
            place = Some(at);
        }
    }
    let place = place.ok_or_else(|| malformed("it lacks the certificate that signed it"))?;
    let own = certificates.swap_remove(place);
    let parsed = EndEntityCert::try_from(&own)
        .map_err(|error| TokenError::Malformed(format!("its certificate cannot be read: {error}")))?;
    let signed = attributes.to_der().map_err(TokenError::malformed("its attributes"))?;
    let algorithms = (signer.signature_algorithm.oid, signer.digest_alg.oid);
    signature::verify(&parsed, algorithms, &signed, signer.signature.as_bytes())?;

    let authority = certificate::may_stamp(&own, at)?;
    if let Some(authorities) = authorities {
        certificate::leads(&parsed, &certificates, authorities, &authority, at)?;
    }
    let accuracy = info.accuracy.map(|accuracy| {
        Duration::from_secs(accuracy.seconds.unwrap_or_default().into())
            + Duration::from_millis(accuracy.millis.unwrap_or_default().into())
            + Duration::from_micros(accuracy.micros.unwrap_or_default().into())
    });
    Ok((Existence { at, accuracy, authority, is_trusted: authorities.is_some() }, info.nonce))
}

/// The only value of a signed attribute, in DER.
fn value(attributes: &SignedAttributes, name: ObjectIdentifier) -> Result<Option<Vec<u8>>, TokenError> {
    let mut named = attributes.iter().filter(|attribute| attribute.oid == name);
    let Some(attribute) = named.next() else { return Ok(None) };
    match (attribute.values.as_slice(), named.next()) {
        ([value], None) => value.to_der().map(Some).map_err(TokenError::malformed("its attributes")),
        _ => Err(TokenError::Malformed(format!("the attribute {name} is there more than once"))),
    }
}

/// Whether a signed attribute has this value.
fn is(attributes: &SignedAttributes, name: ObjectIdentifier, expected: &impl Encode) -> Result<bool, TokenError> {
    let expected = expected.to_der().map_err(TokenError::malformed("its attributes"))?;
    Ok(value(attributes, name)? == Some(expected))
}

/// The hash of the signer's certificate, by the second version of the attribute or the first.
fn signer_of(attributes: &SignedAttributes) -> Result<(ObjectIdentifier, Vec<u8>), TokenError> {
    for (name, default) in [(SIGNING_CERTIFICATE_V2, SHA_256), (SIGNING_CERTIFICATE, SHA_1)] {
        let Some(value) = value(attributes, name)? else { continue };
        let read = SigningCertificate::from_der(&value).map_err(TokenError::malformed("its signing certificate"))?;
        if let Some((algorithm, hash)) = read.first() {
            return Ok((algorithm.unwrap_or(default), hash));
        }
    }
    Err(TokenError::Malformed("it does not name its signing certificate".into()))
}

/// Reads `YYYYMMDDhhmmss[.f]Z`.
fn instant(time: &Any) -> Option<Timestamp> {
    let text = std::str::from_utf8(time.value()).ok().filter(|_| time.tag() == Tag::GeneralizedTime)?;
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !are_digits(whole) || !fraction.is_none_or(are_digits) {
        return None;
    }
    let fraction: String = fraction.unwrap_or("0").chars().take(6).collect();
    let [year, month, day, hour, minute, second] = [0..4, 4..6, 6..8, 8..10, 10..12, 12..14].map(|range| &whole[range]);
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}.{fraction}Z").parse().ok()
}
