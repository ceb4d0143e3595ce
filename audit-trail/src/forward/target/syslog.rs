//! Syslog: RFC 5424 over TLS as in RFC 5425, with octet counting.
//!
//! The protocol has no acknowledgement. A receiver that goes away may lose what it had received and not
//! stored. So the messages of the last seconds before that are sent again, however long it was away. A
//! message is let go once the connection was seen to live long enough behind it: the kernel asks a silent
//! receiver whether it is there, and ends the connection if no answer comes.

use super::{SendError, TargetError, TargetOptions, tls};
use crate::forward::message::{Ended, Message, Origin};
use reqwest::Url;
use rustls_pki_types::ServerName;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

/// The facility of log audits, in RFC 5424, table 1.
const FACILITY: u8 = 13;
/// Messages that are sent again if the receiver goes away within this time.
const REPEATED: Duration = Duration::from_secs(5);
/// The time after which the kernel ends the connection to a receiver that does not answer: probes of an
/// idle one begin after a second.
const UNANSWERED: Duration = Duration::from_secs(4);
const PROBED_AFTER: Duration = Duration::from_secs(1);
/// Messages of this age need not be sent again over a connection that lives.
const LET_GO: Duration = Duration::from_secs(REPEATED.as_secs() + UNANSWERED.as_secs() + PROBED_AFTER.as_secs());
/// A look at a connection takes so long, that the runtime hears what the kernel has noticed.
const LOOK: Duration = Duration::from_millis(1);
/// Bytes of messages that are kept for that, beside the last ones.
const KEPT: usize = 8 << 20;
/// The port of RFC 5425.
const TLS_PORT: u16 = 6_514;
const TCP_PORT: u16 = 514;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Stream for T {}

struct Connection {
    stream: Box<dyn Stream>,
    /// The time that each step may take.
    limit: Duration,
}

pub(super) struct SyslogTarget {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    limit: Duration,
    connection: Option<Connection>,
    /// The messages that were sent last, and when.
    kept: VecDeque<(Instant, Vec<u8>)>,
}

impl std::fmt::Debug for SyslogTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyslogTarget").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl SyslogTarget {
    pub(super) fn new(url: &Url, is_tls: bool, options: &TargetOptions) -> Result<Self, TargetError> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let tls = match is_tls {
            false => None,
            true => {
                let name = ServerName::try_from(host.clone()).map_err(|_| {
                    TargetError(format!("--to: {host} is no name of a server that a certificate may have"))
                })?;
                Some((TlsConnector::from(Arc::new(tls::client(options)?)), name))
            }
        };
        // The URL was read as one of HTTP, whose own port is left out of it.
        let port = url.port().unwrap_or(if is_tls { TLS_PORT } else { TCP_PORT });
        Ok(Self { host, port, tls, limit: options.limit(), connection: None, kept: VecDeque::new() })
    }

    pub(super) async fn send(&mut self, messages: &[Message]) -> Result<(), SendError> {
        let frames: Vec<u8> = messages.iter().flat_map(frame).collect();
        let sent = match self.live().await {
            Ok(connection) => connection.write(&frames).await,
            Err(error) => Err(error),
        };
        self.noticed(sent)?;
        self.keep(frames);
        Ok(())
    }

    /// Sends again what a receiver may have lost that went away since, if it is back.
    pub(super) async fn tend(&mut self) -> Result<(), SendError> {
        let lives = match self.kept.is_empty() {
            true => Ok(()),
            false => self.live().await.map(drop),
        };
        self.noticed(lives)
    }

    /// Gives up the connection after an error.
    fn noticed(&mut self, done: io::Result<()>) -> Result<(), SendError> {
        done.map_err(|error| {
            self.connection = None;
            SendError::away(format!("{}:{}: {error}", self.host, self.port))
        })
    }

    /// Returns a connection that lives, over which the receiver has what it may have lost.
    async fn live(&mut self) -> io::Result<&mut Connection> {
        let mut lives = None;
        if let Some(mut connection) = self.connection.take()
            && !connection.has_ended().await
        {
            self.kept.retain(|(at, _)| at.elapsed() <= LET_GO);
            lives = Some(connection);
        }
        let connection = match lives {
            Some(connection) => connection,
            None => {
                let mut connection = self.connect().await?;
                for (_, frames) in &self.kept {
                    connection.write(frames).await?;
                }
                // This receiver may lose them as well.
                self.kept.iter_mut().for_each(|(at, _)| *at = Instant::now());
                connection
            }
        };
        Ok(self.connection.insert(connection))
    }

    fn keep(&mut self, frames: Vec<u8>) {
        self.kept.push_back((Instant::now(), frames));
        let mut bytes: usize = self.kept.iter().map(|(_, frames)| frames.len()).sum();
        while bytes > KEPT
            && self.kept.len() > 1
            && let Some((_, frames)) = self.kept.pop_front()
        {
            bytes -= frames.len();
        }
    }

    /// Connects, without TLS yet.
    async fn reach(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        watch(&stream)?;
        Ok(stream)
    }

    async fn connect(&self) -> io::Result<Connection> {
        let connect = async {
            let stream = self.reach().await?;
            Ok(match &self.tls {
                None => Box::new(stream) as Box<dyn Stream>,
                Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
            })
        };
        Ok(Connection { stream: within(self.limit, connect).await?, limit: self.limit })
    }
}

impl Connection {
    async fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        let write = async {
            self.stream.write_all(frames).await?;
            self.stream.flush().await
        };
        within(self.limit, write).await
    }

    /// Whether the connection has ended: closed by the receiver, or by the kernel, which had no answer from
    /// it. A receiver of syslog sends nothing.
    async fn has_ended(&mut self) -> bool {
        let mut byte = [0];
        !matches!(timeout(LOOK, self.stream.read(&mut byte)).await, Err(_) | Ok(Ok(1)))
    }
}

/// Limits the time of a step.
async fn within<T>(limit: Duration, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, step).await.unwrap_or_else(|_| Err(io::Error::other("no answer in time")))
}

/// Has the kernel notice that the receiver does not answer.
#[cfg(target_os = "linux")]
fn watch(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBED_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBED_AFTER)?;
    let unanswered = u32::try_from(UNANSWERED.as_millis()).unwrap_or(u32::MAX);
    Ok(sockopt::set_tcp_user_timeout(stream, unanswered)?)
}

/// Other systems have no such limit: a receiver that is silent is noticed once TCP gives up.
#[cfg(not(target_os = "linux"))]
fn watch(_: &TcpStream) -> io::Result<()> {
    Ok(())
}

/// A message with its length before it.
fn frame(message: &Message) -> Vec<u8> {
    let event = message.event();
    let origin = Origin::of(event);
    let severity = match Ended::of(event) {
        Ended::Failed => 4,
        _ => 6,
    };
    let time = if event.created_at.is_rfc_3339() { event.created_at.to_string() } else { "-".into() };
    let process = origin.process.map_or_else(|| "-".into(), |process| process.to_string());
    let text = format!(
        "<{}>1 {time} {} {} {process} {} - {}",
        FACILITY * 8 + severity,
        word(origin.host, 255),
        word(origin.service.or(Some("audit-trail")), 48),
        word(Some(&event.event_type), 32),
        message.text
    );
    format!("{} {text}", text.len()).into_bytes()
}

/// A text as a word of the header: printable ASCII, at most so many characters, or `-`.
fn word(text: Option<&str>, most: usize) -> String {
    let word: String = text.unwrap_or_default().chars().filter(char::is_ascii_graphic).take(most).collect();
    if word.is_empty() { "-".into() } else { word }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::net::sockopt;
    use tokio::net::TcpListener;

    fn target(port: u16) -> SyslogTarget {
        let url = format!("http://127.0.0.1:{port}/").parse().expect("a URL");
        SyslogTarget::new(&url, false, &TargetOptions::default()).expect("a target")
    }

    #[tokio::test]
    async fn the_kernel_ends_a_connection_whose_other_side_does_not_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = target(listener.local_addr().unwrap().port()).reach().await.unwrap();
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), 4_000);
        let noticed = sockopt::tcp_keepidle(&stream).unwrap() + UNANSWERED;
        assert!(REPEATED + noticed <= LET_GO, "what is kept outlives the time in which a loss is noticed");
    }

    #[tokio::test]
    async fn messages_are_let_go_by_their_age_over_a_connection_that_lives_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut target = target(listener.local_addr().unwrap().port());
        target.live().await.unwrap();
        let (receiver, _) = listener.accept().await.unwrap();
        let old = Instant::now() - LET_GO - Duration::from_millis(1);
        target.kept.extend([(old, b"old".to_vec()), (Instant::now(), b"new".to_vec())]);
        target.tend().await.unwrap();
        assert_eq!(target.kept.iter().map(|(_, frames)| &**frames).collect::<Vec<_>>(), [b"new"]);
        // The receiver goes, and nothing is let go, however old it is.
        target.kept[0].0 = old;
        drop((receiver, listener));
        assert!(target.tend().await.is_err());
        assert_eq!(target.kept.len(), 1);
    }

    #[test]
    fn no_more_bytes_are_kept_than_allowed_beside_the_last_ones() {
        let mut target = target(1);
        for _ in 0..100 {
            target.keep(vec![0; 1 << 20]);
        }
        assert_eq!(target.kept.len(), KEPT >> 20);
        target.keep(vec![0; KEPT + 1]);
        assert_eq!(target.kept.len(), 1);
    }
}
