//! The certificate of an authority: whether it may sign time stamps, and who issued it.

use super::authorities::Authorities;
use super::error::TokenError;
use crate::event::Timestamp;
use cms::cert::x509::Certificate;
use cms::cert::x509::ext::pkix::ExtendedKeyUsage;
use der::Decode;
use der::asn1::ObjectIdentifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// The same in DER, without its tag and length.
const TIME_STAMPING_BYTES: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Verifies that a certificate may sign time stamps at an instant, and returns its subject's name.
pub(super) fn may_stamp(certificate: &[u8], at: Timestamp) -> Result<String, TokenError> {
    let certificate =
        Certificate::from_der(certificate).map_err(TokenError::malformed("the certificate"))?.tbs_certificate;
    let names = certificate.subject.0.iter().flat_map(|name| name.0.iter());
    let common = names.rev().find(|part| part.oid == COMMON_NAME);
    let name = common.map_or_else(
        || certificate.subject.to_string(),
        |part| String::from_utf8_lossy(part.value.value()).into_owned(),
    );
    // RFC 3161, section 2.3: critical, and this purpose alone.
    let usage = certificate.get::<ExtendedKeyUsage>().map_err(TokenError::malformed("the certificate"))?;
    if !usage.is_some_and(|(is_critical, usage)| is_critical && usage.0 == [TIME_STAMPING]) {
        return Err(TokenError::Certificate(format!(
            "{name} is not one for time stamps alone: its key usage is another"
        )));
    }
    let validity = certificate.validity;
    let is_valid = seconds(at)
        .is_some_and(|at| validity.not_before.to_unix_duration() <= at && at <= validity.not_after.to_unix_duration());
    if !is_valid {
        let (begin, end) = (validity.not_before, validity.not_after);
        return Err(TokenError::Certificate(format!(
            "{name} is valid from {begin} to {end}, and the time stamp is of {at}"
        )));
    }
    Ok(name)
}

/// Verifies that CA certificates lead to this one, at the instant that it states.
pub(super) fn leads(
    certificate: &EndEntityCert<'_>,
    others: &[CertificateDer<'_>],
    authorities: &Authorities,
    name: &str,
    at: Timestamp,
) -> Result<(), TokenError> {
    let at = UnixTime::since_unix_epoch(seconds(at).unwrap_or_default());
    // The certificates of CAs need not name it, and that of the authority was checked.
    let usage = KeyUsage::required_if_present(TIME_STAMPING_BYTES);
    let path = certificate.verify_for_usage(ALL_VERIFICATION_ALGS, &authorities.anchors, others, at, usage, None, None);
    path.map(drop).map_err(|error| TokenError::Authority(name.to_owned(), error.to_string()))
}

fn seconds(at: Timestamp) -> Option<Duration> {
    at.unix_micros().and_then(|micros| u64::try_from(micros).ok()).map(Duration::from_micros)
}
