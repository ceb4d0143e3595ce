//! An HTTP server of a test: it answers as the test says, and keeps what it was sent.

use flate2::read::GzDecoder;
use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    /// As it was sent.
    pub(crate) raw: Vec<u8>,
    /// As it was before it was compressed.
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An answer: its status, its headers and its body.
pub(crate) type Answer = (u16, &'static str, Vec<u8>);
type Answers = Arc<dyn Fn(&Request) -> Option<Answer> + Send + Sync>;

/// The server. It ends with the test.
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    /// The thread of the server ends when this is dropped.
    _ends: oneshot::Sender<()>,
}

impl Endpoint {
    /// Answers each request; without an answer, the connection is cut.
    pub(crate) async fn start(answers: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::start_with(None, answers).await
    }

    pub(crate) async fn start_with(
        tls: Option<ServerConfig>,
        answers: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answers): (_, Answers) = (Arc::clone(&requests), Arc::new(answers));
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let (ends, ended) = oneshot::channel();
        let serving = async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answers, acceptor) = (Arc::clone(&kept), Arc::clone(&answers), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, &kept, &answers).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, &kept, &answers).await;
                            }
                        }
                    }
                });
            }
        };
        // On a thread of its own: tests wait for processes on theirs.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    _ = ended => {}
                }
            });
        });
        Self { port, requests, _ends: ends }
    }

    /// Takes everything.
    pub(crate) async fn taking() -> Self {
        Self::start(|_| Some((200, "", Vec::new()))).await
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The JSON objects of all requests, one a line.
    pub(crate) fn lines(&self) -> Vec<serde_json::Value> {
        let texts = self.requests().iter().map(Request::text).collect::<Vec<_>>().concat();
        texts.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, kept: &Mutex<Vec<Request>>, answers: &Answers) {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = read(&mut stream, &mut buffer).await else { return };
        let answer = answers(&request);
        kept.lock().unwrap().push(request);
        let Some((status, headers, body)) = answer else { return };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        let sent = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            stream.flush().await
        };
        if sent.await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<Request> {
    let head = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
    let mut lines = text.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while buffer.len() < head + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let raw = buffer[head..head + length].to_vec();
    buffer.drain(..head + length);
    let mut body = Vec::new();
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        GzDecoder::new(&*raw).read_to_end(&mut body).unwrap();
    } else {
        body.clone_from(&raw);
    }
    Some(Request { path, headers, raw, body })
}
