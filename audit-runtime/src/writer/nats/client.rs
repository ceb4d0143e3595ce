//! The connection to NATS, which a process makes once and the client keeps.

use super::options::Nats;
use async_nats::{Client, ConnectOptions, ServerAddr};
use std::io;
use std::time::Duration;

/// A server that does not answer in this time is not reachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A question that is not answered in this time is asked again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two attempts to connect again.
const AGAIN: Duration = Duration::from_millis(500);

fn failed(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, format!("NATS cannot be reached: {why}"))
}

/// Connects as this service, whose answers arrive at an inbox of its own.
///
/// # Errors
/// No server can be reached, or takes these credentials, or takes messages of the size that was
/// named.
pub(crate) async fn connect(nats: &Nats, name: &str, inbox: &str) -> io::Result<Client> {
    let servers: Result<Vec<ServerAddr>, _> = nats.servers.split(',').map(|server| server.trim().parse()).collect();
    let servers = servers.map_err(|error| failed(format!("{}: {error}", nats.servers)))?;
    let mut options = ConnectOptions::new()
        .name(name)
        .custom_inbox_prefix(inbox)
        .connection_timeout(CONNECT_TIMEOUT)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .reconnect_delay_callback(|_| AGAIN);
    if let Some(file) = &nats.credentials {
        options = options.credentials_file(file).await.map_err(|error| named(file, &error))?;
    }
    if let Some(file) = &nats.nkey {
        let seed = std::fs::read_to_string(file).map_err(|error| named(file, &error))?;
        options = options.nkey(seed.trim().to_owned());
    }
    if let Some(file) = &nats.root_certificates {
        options = options.add_root_certificates(file.clone());
    }
    let client = options.connect(servers).await.map_err(failed)?;
    let taken = client.server_info().max_payload;
    if taken < nats.max_payload {
        return Err(failed(format!(
            "the server takes messages of {taken} bytes, and this trail makes some of {}; raise max_payload of the server, \
             or call Nats::max_payload({taken})",
            nats.max_payload
        )));
    }
    Ok(client)
}

fn named(file: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{} cannot be read: {error}", file.display()))
}
