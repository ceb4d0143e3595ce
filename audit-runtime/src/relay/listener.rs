//! The socket on which a relay listens.

use crate::writer::relay_address::{RelayAddress, Stream};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::net::TcpListener;

/// A socket on which a relay listens. A Unix socket is removed when it is dropped.
#[derive(Debug)]
pub struct RelayListener {
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, PathBuf),
}

impl RelayListener {
    /// Listens on an address. `group` may connect to a Unix socket beside this user.
    ///
    /// A socket that a dead relay has left is replaced. A port is one of this machine alone
    /// (`127.0.0.1`, `[::1]`), because messages are neither encrypted nor authenticated.
    ///
    /// # Errors
    /// Another relay listens there, the path is no socket or too long, or the address is one that
    /// other machines reach.
    pub async fn bind(address: &RelayAddress, group: Option<u32>) -> io::Result<Self> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("the relay cannot listen on {address}: {error}"));
        let socket = match address {
            RelayAddress::Tcp(text) => Socket::Tcp(tcp(text).await.map_err(named)?),
            #[cfg(unix)]
            RelayAddress::Unix(path) => Socket::Unix(unix(path, group).await.map_err(named)?, path.clone()),
            #[cfg(not(unix))]
            RelayAddress::Unix(_) => {
                let _ = group;
                return Err(named(io::Error::new(io::ErrorKind::Unsupported, "use tcp:127.0.0.1:4180 on this system")));
            }
        };
        Ok(Self { socket })
    }

    /// Returns the address that it listens on, with the port that the system has chosen for port 0.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn address(&self) -> io::Result<RelayAddress> {
        Ok(match &self.socket {
            Socket::Tcp(listener) => RelayAddress::Tcp(listener.local_addr()?.to_string()),
            #[cfg(unix)]
            Socket::Unix(_, path) => RelayAddress::Unix(path.clone()),
        })
    }

    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            Socket::Unix(listener, _) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

#[cfg(unix)]
impl Drop for RelayListener {
    fn drop(&mut self) {
        if let Socket::Unix(_, path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn tcp(address: &str) -> io::Result<TcpListener> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(address).await?.collect();
    if let Some(other) = addresses.iter().find(|address| !address.ip().is_loopback()) {
        let why = format!(
            "{other} is reached from other machines, and messages are neither encrypted nor authenticated; listen on 127.0.0.1, \
             and put a proxy with TLS that knows its clients in front of it"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    TcpListener::bind(&*addresses).await
}

#[cfg(unix)]
async fn unix(path: &std::path::Path, group: Option<u32>) -> io::Result<tokio::net::UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file, and it is not a socket; name another path",
            ));
        }
        Ok(_) if tokio::net::UnixStream::connect(path).await.is_ok() => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another relay listens there"));
        }
        Ok(_) => std::fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Nobody connects before its mode and its group are set: it is made beside, and moved there.
    let made = path.with_extension(format!("{}.new", std::process::id()));
    let _ = std::fs::remove_file(&made);
    let listener = tokio::net::UnixListener::bind(&made)?;
    let prepared = || {
        if let Some(group) = group {
            std::os::unix::fs::chown(&made, None, Some(group))?;
        }
        let mode = if group.is_some() { 0o660 } else { 0o600 };
        std::fs::set_permissions(&made, std::fs::Permissions::from_mode(mode))?;
        std::fs::rename(&made, path)
    };
    prepared().inspect_err(|_| drop(std::fs::remove_file(&made)))?;
    Ok(listener)
}
