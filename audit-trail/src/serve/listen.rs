//! Connections: TCP, TLS on it, or a Unix socket; each is limited, and ends well at a shutdown.

use crate::failure::Failure;
use crate::pem::{certificates, private_key};
use crate::say;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig};
use tower_service::Service;

/// Connections at once; the next ones wait.
const MOST: usize = 512;
/// The time for a TLS handshake, and for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes. A query has at most 8 KiB.
const LARGEST_HEAD: usize = 32 * 1024;
/// The time that requests have at a shutdown.
const FAREWELL: Duration = Duration::from_secs(5);
/// The pause after a connection that could not be accepted, as without file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    Tcp(SocketAddr),
    /// A process of this machine that may open the socket.
    Socket,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().fmt(f),
            Self::Socket => f.write_str("the Unix socket"),
        }
    }
}

/// Where connections come from.
pub(crate) enum Listener {
    Tcp(TcpListener, Option<TlsAcceptor>),
    #[cfg(unix)]
    Socket(tokio::net::UnixListener, PathBuf),
}

impl Listener {
    /// Listens on an address.
    pub(crate) async fn tcp(address: SocketAddr, tls: Option<TlsAcceptor>) -> Result<Self, Failure> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| Failure::Other(format!("cannot listen on {address}: {error}")))?;
        Ok(Self::Tcp(listener, tls))
    }

    /// Listens on a Unix socket. One that a server left there is replaced, and no other file is.
    #[cfg(unix)]
    pub(crate) fn socket(path: &Path) -> Result<Self, Failure> {
        use std::os::unix::fs::FileTypeExt;
        let failed = |error: std::io::Error| Failure::Other(format!("cannot listen on {}: {error}", path.display()));
        if std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(Failure::Other(format!("cannot listen on {}: another server does", path.display())));
            }
            std::fs::remove_file(path).map_err(failed)?;
        }
        let listener = tokio::net::UnixListener::bind(path).map_err(failed)?;
        Ok(Self::Socket(listener, path.to_owned()))
    }

    /// Returns where it listens, for people: a URL, or the path of the socket.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Tcp(listener, tls) => {
                let scheme = if tls.is_some() { "https" } else { "http" };
                listener.local_addr().map_or_else(|error| error.to_string(), |address| format!("{scheme}://{address}/"))
            }
            #[cfg(unix)]
            Self::Socket(_, path) => path.display().to_string(),
        }
    }

    /// Answers requests until `end`, and then those that are under way.
    pub(crate) async fn serve(self, router: Router, end: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let limit = Arc::new(Semaphore::new(MOST));
        tokio::pin!(end);
        loop {
            let Ok(permit) = limit.clone().acquire_owned().await else { break };
            let stream = tokio::select! {
                stream = self.accept() => stream,
                () = &mut end => break,
            };
            let connection = Connection { router: router.clone(), watcher: graceful.watcher(), _permit: permit };
            match stream {
                Ok((Stream::Tcp(stream, address), tls)) => drop(tokio::spawn(connection.tcp(stream, address, tls))),
                #[cfg(unix)]
                Ok((Stream::Socket(stream), _)) => drop(tokio::spawn(connection.answer(stream, Peer::Socket))),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        let _ = tokio::time::timeout(FAREWELL, graceful.shutdown()).await;
        #[cfg(unix)]
        if let Self::Socket(_, path) = &self {
            let _ = std::fs::remove_file(path);
        }
    }

    async fn accept(&self) -> std::io::Result<(Stream, Option<TlsAcceptor>)> {
        match self {
            Self::Tcp(listener, tls) => {
                let (stream, address) = listener.accept().await?;
                // Small answers must not wait for acknowledgements.
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream, address), tls.clone()))
            }
            #[cfg(unix)]
            Self::Socket(listener, _) => Ok((Stream::Socket(listener.accept().await?.0), None)),
        }
    }
}

enum Stream {
    Tcp(TcpStream, SocketAddr),
    #[cfg(unix)]
    Socket(tokio::net::UnixStream),
}

/// One connection, which counts as long as it lives.
struct Connection {
    router: Router,
    watcher: Watcher,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn tcp(self, stream: TcpStream, address: SocketAddr, tls: Option<TlsAcceptor>) {
        let Some(tls) = tls else {
            return self.answer(stream, Peer::Tcp(address)).await;
        };
        if let Ok(Ok(stream)) = tokio::time::timeout(HEAD, tls.accept(stream)).await {
            self.answer(stream, Peer::Tcp(address)).await;
        }
    }

    async fn answer(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer) {
        let router = self.router;
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            router.clone().call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        // A viewer who goes away is none of this server's failures.
        let _ = self.watcher.watch(connection).await;
    }
}

/// Reads a certificate with its chain, and its key.
pub(crate) fn tls(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Failure> {
    let failed = |path: &Path, why: String| Failure::Usage(format!("cannot use {}: {why}", path.display()));
    let chain = certificates(certificate).map_err(|why| failed(certificate, why))?;
    let secret = private_key(key).map_err(|why| failed(key, why))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(chain, secret))
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                failed(key, "it belongs to another certificate; give the key of --certificate".into())
            }
            error => failed(certificate, error.to_string()),
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Says where the page is.
pub(crate) fn announce(listener: &Listener) {
    say::notice(format!("the page is at {}", listener.shown()));
}
