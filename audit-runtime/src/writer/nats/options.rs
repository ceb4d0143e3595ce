//! The way to NATS.

use std::path::{Path, PathBuf};

/// The most bytes of a message, by the default of a NATS server.
const MAX_PAYLOAD: usize = 1 << 20;

/// The way to NATS JetStream, for [`Builder::nats`](crate::Builder::nats) and for a relay.
///
/// ```
/// use audit_runtime::Nats;
///
/// let nats = Nats::new("tls://nats-1:4222,tls://nats-2:4222").credentials("/etc/broker/nats.creds").max_payload(4 << 20);
/// ```
#[derive(Debug, Clone)]
#[must_use = "it says how to connect, and does not"]
pub struct Nats {
    pub(super) servers: String,
    pub(super) credentials: Option<PathBuf>,
    pub(super) nkey: Option<PathBuf>,
    pub(super) root_certificates: Option<PathBuf>,
    pub(super) max_payload: usize,
}

impl Nats {
    /// Names the servers: `nats://host:4222`, several of them with commas between.
    ///
    /// `tls://` demands TLS.
    pub fn new(servers: impl Into<String>) -> Self {
        Self {
            servers: servers.into(),
            credentials: None,
            nkey: None,
            root_certificates: None,
            max_payload: MAX_PAYLOAD,
        }
    }

    /// Names the file of credentials that `nsc` has made (`.creds`). It is read at every connect.
    pub fn credentials(mut self, file: impl AsRef<Path>) -> Self {
        self.credentials = Some(file.as_ref().to_owned());
        self
    }

    /// Names the file of an NKey's seed, which begins with `SU`. It is read at every connect.
    pub fn nkey(mut self, file: impl AsRef<Path>) -> Self {
        self.nkey = Some(file.as_ref().to_owned());
        self
    }

    /// Names the file of the certificates that a server's own is to be signed by. Without it, those
    /// of the system are.
    pub fn root_certificates(mut self, file: impl AsRef<Path>) -> Self {
        self.root_certificates = Some(file.as_ref().to_owned());
        self
    }

    /// Sets the most bytes of a message, as `max_payload` of the server sets it. The default is 1 MiB.
    ///
    /// A batch has a quarter of it before it is compressed, its last event three eighths at most. A
    /// larger event is refused where it is recorded. A server that takes less is refused at the
    /// connect.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// The most bytes of a message.
    pub(crate) fn max_payload_bytes(&self) -> usize {
        self.max_payload
    }

    /// The most bytes of a batch before it is compressed. The keys of its personal values are smaller
    /// than the batch.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.max_payload / 4
    }

    /// The most bytes of one event. It may follow on a batch that is almost full.
    pub(crate) fn event_bytes(&self) -> usize {
        self.max_payload / 8 * 3
    }

    /// Returns what is wrong with it.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.servers.trim().is_empty() {
            return Some("no NATS server was named; call Nats::new(\"nats://host:4222\")".into());
        }
        if self.max_payload < 1 << 16 {
            return Some(format!("max_payload is {}; it must be at least 65536", self.max_payload));
        }
        None
    }
}
