//! Syslog: RFC 5424 over TLS as in RFC 5425, with octet counting.
//!
//! The protocol has no acknowledgement. A receiver that goes away closes the connection, and may lose
//! what it had received and not stored. So the messages of the last seconds before that are sent again.

use super::{SendError, TargetError, TargetOptions, tls};
use crate::forward::message::{Ended, Message, Origin};
use reqwest::Url;
use rustls_pki_types::ServerName;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

/// The facility of log audits, in RFC 5424, table 1.
const FACILITY: u8 = 13;
/// Messages that are sent again if the connection ends within this time.
const REPEATED: Duration = Duration::from_secs(5);
/// Bytes of messages that are kept for that.
const KEPT: usize = 8 << 20;
/// The port of RFC 5425.
const TLS_PORT: u16 = 6_514;
const TCP_PORT: u16 = 514;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Stream for T {}

pub(super) struct SyslogTarget {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    limit: Duration,
    connection: Option<Box<dyn Stream>>,
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
        let limit = self.limit;
        let sent = timeout(limit, self.write(&frames)).await;
        let sent = sent.unwrap_or_else(|_| Err(std::io::Error::other("no answer in time")));
        match sent {
            Ok(()) => {
                self.keep(frames);
                Ok(())
            }
            Err(error) => {
                self.connection = None;
                Err(SendError::away(format!("{}:{}: {error}", self.host, self.port)))
            }
        }
    }

    fn keep(&mut self, frames: Vec<u8>) {
        self.kept.push_back((Instant::now(), frames));
        let mut bytes: usize = self.kept.iter().map(|(_, frames)| frames.len()).sum();
        while let Some((at, frames)) = self.kept.front()
            && (at.elapsed() > REPEATED || bytes > KEPT)
        {
            bytes -= frames.len();
            self.kept.pop_front();
        }
    }

    async fn write(&mut self, frames: &[u8]) -> std::io::Result<()> {
        if let Some(connection) = &mut self.connection
            && has_ended(&mut **connection).await
        {
            self.connection = None;
        }
        if self.connection.is_none() {
            self.connection = Some(self.connect().await?);
            for (at, frames) in &self.kept {
                if at.elapsed() <= REPEATED
                    && let Some(connection) = &mut self.connection
                {
                    connection.write_all(frames).await?;
                }
            }
        }
        let Some(connection) = &mut self.connection else { return Ok(()) };
        connection.write_all(frames).await?;
        connection.flush().await
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
        })
    }
}

/// Whether the receiver has closed the connection. A receiver of syslog sends nothing.
async fn has_ended(connection: &mut dyn Stream) -> bool {
    let mut byte = [0];
    !matches!(timeout(Duration::ZERO, connection.read(&mut byte)).await, Err(_) | Ok(Ok(1)))
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
