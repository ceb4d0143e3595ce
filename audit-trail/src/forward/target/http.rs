//! An HTTP endpoint: events by POST, many in one request.
//!
//! A request has an `Idempotency-Key`, which is the same if it is sent again. With a secret, it is signed
//! as in Standard Webhooks (<https://www.standardwebhooks.com>): `webhook-signature` is `v1,` and the HMAC
//! of `id.timestamp.body` by SHA-256, in base 64.

use super::{SendError, TargetError, TargetOptions, lines, tls};
use crate::forward::form::Form;
use crate::forward::message::Message;
use audit_runtime::Timestamp;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::time::Duration;

/// The part of an answer that an error quotes.
const QUOTED: usize = 300;
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 1 << 20;
/// The longest time that a target may ask for.
const LONGEST: Duration = Duration::from_mins(10);

/// A client with the limits and certificates of the options.
pub(super) fn client(options: &TargetOptions) -> Result<Client, TargetError> {
    Client::builder()
        .tls_backend_preconfigured(tls::client(options)?)
        .timeout(options.limit())
        .connect_timeout(options.limit())
        .user_agent(concat!("audit-trail/", env!("CARGO_PKG_VERSION")))
        // A redirect would take the token elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| TargetError(error.to_string()))
}

/// A header that logs do not show.
pub(super) fn secret(value: &str) -> Result<HeaderValue, TargetError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| TargetError("--token: the token has a character that no header may have".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A body, compressed unless the options forbid that.
pub(super) fn body(
    request: RequestBuilder,
    body: &[u8],
    is_gzip: bool,
) -> Result<(RequestBuilder, Vec<u8>), SendError> {
    if !is_gzip {
        return Ok((request, body.to_vec()));
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).map_err(SendError::away)?;
    let body = encoder.finish().map_err(SendError::away)?;
    Ok((request.header(CONTENT_ENCODING, "gzip"), body))
}

/// Sends a request, and returns its answer if that is one of success.
pub(super) async fn answered(request: RequestBuilder) -> Result<Response, SendError> {
    let answer = request.send().await.map_err(|error| SendError::away(plain(&error)))?;
    if answer.status().is_success() { Ok(answer) } else { Err(refusal(answer).await) }
}

/// The reason of an answer that takes no events.
async fn refusal(answer: Response) -> SendError {
    let status = answer.status();
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let text = quoted(answer).await;
    let why = format!("{status}{text}");
    match status {
        // The events are at fault: each is tried alone.
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            SendError::Refused(why, None)
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            SendError::away(format!("{why}; check --token, --signing-secret or --cert"))
        }
        status if status.is_redirection() => SendError::away(format!("{why}; give the address to which it leads")),
        _ => SendError::Away(why, after.map(|seconds| Duration::from_secs(seconds).min(LONGEST))),
    }
}

/// An answer's body.
pub(super) async fn read(mut answer: Response) -> Result<Vec<u8>, SendError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| SendError::away(plain(&error)))? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(SendError::away("the answer is longer than 1 MiB, and no answer of such a target; check --to"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The beginning of an answer's body.
pub(super) async fn quoted(mut answer: Response) -> String {
    let mut text = Vec::new();
    while text.len() < QUOTED {
        match answer.chunk().await {
            Ok(Some(chunk)) => text.extend_from_slice(&chunk),
            _ => break,
        }
    }
    text.truncate(QUOTED);
    let text = String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { text } else { format!(": {text}") }
}

/// An error of the way, with its causes and without the URL.
pub(super) fn plain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut text = String::from("no connection");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text += ": ";
            text += &words;
        }
        cause = error.source();
    }
    text
}

#[derive(Debug)]
pub(super) struct HttpTarget {
    client: Client,
    url: Url,
    token: Option<HeaderValue>,
    secret: Option<Secret>,
    is_gzip: bool,
}

/// The secret by which requests are signed.
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Reads a secret as Standard Webhooks write it, `whsec_` and base 64, or any other text.
    fn read(text: &str) -> Result<Self, TargetError> {
        match text.strip_prefix("whsec_") {
            Some(encoded) => BASE64_STANDARD
                .decode(encoded)
                .map(Self)
                .map_err(|_| TargetError("--signing-secret: what follows whsec_ is not in base 64".into())),
            None => Ok(Self(text.as_bytes().to_vec())),
        }
    }

    fn signature(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        hmac.update(format!("{id}.{seconds}.").as_bytes());
        hmac.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(hmac.finalize().into_bytes()))
    }
}

impl HttpTarget {
    pub(super) fn new(url: Url, options: &TargetOptions) -> Result<Self, TargetError> {
        let token = options.token.as_deref().map(|token| secret(&format!("Bearer {token}"))).transpose()?;
        let secret = options.signing_secret.as_deref().map(Secret::read).transpose()?;
        Ok(Self { client: client(options)?, url, token, secret, is_gzip: !options.no_gzip })
    }

    pub(super) async fn send(&self, name: &str, form: Form, messages: &[Message]) -> Result<(), SendError> {
        let text = match form {
            Form::CloudEvents => {
                let events: Vec<&str> = messages.iter().map(|message| &*message.text).collect();
                format!("[{}]", events.join(",")).into_bytes()
            }
            _ => lines(form, messages),
        };
        let key = key(name, messages);
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, form.media_type());
        let request = request.header("Idempotency-Key", &key);
        let request = match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        };
        let (request, body) = body(request, &text, self.is_gzip)?;
        let request = match &self.secret {
            Some(secret) => {
                let seconds = Timestamp::now().unix_micros().unwrap_or_default() / 1_000_000;
                request
                    .header("webhook-id", &key)
                    .header("webhook-timestamp", seconds.to_string())
                    .header("webhook-signature", secret.signature(&key, seconds, &body))
            }
            None => request,
        };
        answered(request.body(body)).await.map(drop)
    }
}

/// The same text for the same events of a feed, and another one for others.
fn key(name: &str, messages: &[Message]) -> String {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    messages.iter().for_each(|message| hash.update(message.event().id.as_bytes()));
    hex::encode(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification of Standard Webhooks, as its libraries test it.
    #[test]
    fn a_request_is_signed_as_standard_webhooks_are() {
        let secret = Secret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
