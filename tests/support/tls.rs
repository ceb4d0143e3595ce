//! TLS of HTTP clients.

use tokio_rustls::rustls::crypto::ring;

/// Sets the cryptography of HTTP clients, which `reqwest` lacks without its own. A test does so before
/// it makes a client.
pub fn ready() {
    // Another test of this process may have done it.
    let _ = ring::default_provider().install_default();
}
