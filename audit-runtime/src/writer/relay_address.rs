//! The address of a relay.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A relay on this machine answers at once, or it is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The address of a relay: a socket in the file system, or a host and a port.
///
/// ```
/// use audit_runtime::relay::RelayAddress;
///
/// let socket: RelayAddress = "unix:/run/audit/relay.sock".parse()?;
/// let port: RelayAddress = "tcp:127.0.0.1:4180".parse()?;
/// assert_eq!(socket.to_string(), "unix:/run/audit/relay.sock");
/// # Ok::<(), audit_runtime::relay::RelayAddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayAddress {
    /// A Unix socket at this path. Its mode decides who may connect.
    Unix(PathBuf),
    /// A host and a port.
    Tcp(String),
}

/// The text is no address of a relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address of a relay; write unix:/run/audit/relay.sock or tcp:127.0.0.1:4180")]
pub struct RelayAddressError(String);

impl FromStr for RelayAddress {
    type Err = RelayAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || RelayAddressError(text.into());
        let (kind, rest) = text.split_once(':').ok_or_else(refused)?;
        let has_port =
            || rest.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        match kind {
            "unix" if !rest.is_empty() => Ok(Self::Unix(rest.into())),
            "tcp" if has_port() => Ok(Self::Tcp(rest.into())),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// A stream of bytes to or from a relay.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl RelayAddress {
    /// Connects to the relay.
    ///
    /// # Errors
    /// Nothing listens there, or the system has no such sockets.
    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let connecting = async {
            match self {
                Self::Tcp(address) => {
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    Ok(Box::new(stream) as Box<dyn Stream>)
                }
                #[cfg(unix)]
                Self::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?) as Box<dyn Stream>),
                #[cfg(not(unix))]
                Self::Unix(_) => Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "this system has no Unix sockets for this program; use tcp:127.0.0.1:4180",
                )),
            }
        };
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        connected.map_err(|error: io::Error| {
            io::Error::new(error.kind(), format!("the relay at {self} cannot be reached: {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_named() {
        for odd in ["", "unix:", "/run/relay.sock", "tcp:", "tcp:localhost", "tcp::80", "tcp:host:99999", "http://x"] {
            let error = odd.parse::<RelayAddress>().unwrap_err().to_string();
            assert!(error.contains(&format!("{odd:?}")) && error.contains("unix:/run/audit"), "{error}");
        }
        for address in ["unix:/a b/c", "tcp:[::1]:4180", "tcp:relay.audit.svc:1"] {
            assert_eq!(address.parse::<RelayAddress>().unwrap().to_string(), address);
        }
    }
}
