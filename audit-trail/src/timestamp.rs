//! Time stamps of checkpoints: an authority is asked over HTTP, as RFC 3161 section 3.4 describes it.

use crate::failure::Failure;
use audit_runtime::evidence::{Authorities, Existence, TokenRequest};
use reqwest::{Client, Url, header, redirect};
use std::error::Error;
use std::path::Path;
use std::time::Duration;
use tokio_rustls::rustls::crypto::ring;

/// An authority answers within a second.
const TIME: Duration = Duration::from_secs(10);

/// Reads the URL of an authority.
pub(crate) fn authority(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("expected the URL of a time-stamping authority, as in http://timestamp.example.com".into()),
    }
}

/// Returns the URL without a user and a password, as it is stored and shown.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // They fail for URLs without a host, and this one has one.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// Reads the file of `--timestamp-ca`.
pub(crate) fn authorities(path: Option<&Path>) -> Result<Option<Authorities>, Failure> {
    let read = |path: &Path| {
        Authorities::from_file(path)
            .map_err(|error| Failure::Usage(format!("--timestamp-ca {}: {error}", path.display())))
    };
    path.map(read).transpose()
}

/// Asks an authority for a time stamp of a note, and verifies its answer.
pub(crate) async fn ask(
    url: &Url,
    note: &str,
    authorities: Option<&Authorities>,
) -> Result<(Vec<u8>, Existence), String> {
    let request = TokenRequest::new(note).map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(TIME, exchanged(url, &request)).await;
    let answer = answer.map_err(|_| format!("no answer within {} seconds", TIME.as_secs()))??;
    request.accept(&answer, authorities).map_err(|error| error.to_string())
}

/// Sends a request, and returns the body of the answer, which is bounded.
async fn exchanged(url: &Url, request: &TokenRequest) -> Result<Vec<u8>, String> {
    // Another one may be installed already.
    let _ = ring::default_provider().install_default();
    let client = Client::builder().redirect(redirect::Policy::none()).build().map_err(said)?;
    let sent = client
        .post(url.clone())
        .header(header::CONTENT_TYPE, "application/timestamp-query")
        .body(request.bytes().to_vec())
        .send();
    let mut answer = sent.await.map_err(said)?;
    if !answer.status().is_success() {
        return Err(format!("HTTP status {}", answer.status()));
    }
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/timestamp-reply") {
        return Err(format!("the answer has the type {kind:?} in place of application/timestamp-reply"));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(said)? {
        if body.len() + chunk.len() > TokenRequest::ANSWER_LIMIT {
            return Err(format!("the answer has more than {} bytes", TokenRequest::ANSWER_LIMIT));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The words of an error and of its causes, without the URL, which may have a password.
fn said(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
