//! The messages of RFC 3161 and the signed data of RFC 5652, as far as they are read.

use cms::cert::x509::spki::AlgorithmIdentifierOwned;
use cms::signed_data::{EncapsulatedContentInfo, SignerInfos};
use der::asn1::{Any, BitString, Int, ObjectIdentifier, OctetString};
use der::{Decode, Sequence};

/// The most bytes of a token or an answer. Tokens with three certificates have about 6,000.
pub(super) const LIMIT: usize = 64 << 10;

pub(super) const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
pub(super) const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
pub(super) const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

/// The hash that is stamped.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub(super) struct MessageImprint {
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) hash: OctetString,
}

#[derive(Debug, Clone, Sequence)]
pub(super) struct TimeStampReq {
    pub(super) version: u8,
    pub(super) imprint: MessageImprint,
    pub(super) nonce: Int,
    /// Not the default, so it is always there.
    pub(super) wants_certificate: bool,
}

#[derive(Debug, Clone, Sequence)]
pub(super) struct TimeStampResp {
    pub(super) status: PkiStatusInfo,
    #[asn1(optional = "true")]
    pub(super) token: Option<Any>,
}

#[derive(Debug, Clone, Sequence)]
pub(super) struct PkiStatusInfo {
    pub(super) status: u8,
    #[asn1(optional = "true")]
    pub(super) texts: Option<Vec<String>>,
    #[asn1(optional = "true")]
    pub(super) failure: Option<BitString>,
}

/// The outermost part of a token.
#[derive(Debug, Clone, Sequence)]
pub(super) struct ContentInfo {
    pub(super) content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(super) content: SignedData,
}

/// Like that of `cms`, with certificates as the bytes that they are signed as.
#[derive(Debug, Clone, Sequence)]
pub(super) struct SignedData {
    pub(super) version: u8,
    pub(super) digest_algorithms: Any,
    pub(super) content: EncapsulatedContentInfo,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) certificates: Option<Vec<Any>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) revocations: Option<Vec<Any>>,
    pub(super) signers: SignerInfos,
}

/// The statement that an authority signs.
#[derive(Debug, Clone, Sequence)]
pub(super) struct TstInfo {
    pub(super) version: u8,
    pub(super) policy: ObjectIdentifier,
    pub(super) imprint: MessageImprint,
    pub(super) serial: Int,
    /// A GeneralizedTime, which may have fractions of a second.
    pub(super) time: Any,
    #[asn1(optional = "true")]
    pub(super) accuracy: Option<Accuracy>,
    #[asn1(default = "Default::default")]
    pub(super) is_ordered: bool,
    #[asn1(optional = "true")]
    pub(super) nonce: Option<Int>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) authority: Option<Any>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) extensions: Option<Vec<Any>>,
}

#[derive(Debug, Clone, Copy, Sequence)]
pub(super) struct Accuracy {
    #[asn1(optional = "true")]
    pub(super) seconds: Option<u32>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) millis: Option<u16>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(super) micros: Option<u16>,
}

/// The hash of the signer's certificate, in both versions of the attribute.
#[derive(Debug, Clone, Sequence)]
pub(super) struct SigningCertificate {
    pub(super) certificates: Vec<Vec<Any>>,
    #[asn1(optional = "true")]
    pub(super) policies: Option<Any>,
}

impl SigningCertificate {
    /// Returns the algorithm, if it is stated, and the hash of the first certificate, which is the
    /// signer's.
    pub(super) fn first(&self) -> Option<(Option<ObjectIdentifier>, Vec<u8>)> {
        let mut parts = self.certificates.first()?.iter();
        let mut part = parts.next()?;
        let algorithm = part.decode_as::<AlgorithmIdentifierOwned>().ok().map(|algorithm| algorithm.oid);
        if algorithm.is_some() {
            part = parts.next()?;
        }
        Some((algorithm, part.decode_as::<OctetString>().ok()?.into_bytes()))
    }
}

/// Reads one message, of which no bytes are left.
pub(super) fn read<'a, T: Decode<'a>>(bytes: &'a [u8]) -> Result<T, der::Error> {
    T::from_der(bytes)
}
