//! The style sheet, the script and the icon, in this program and under names that state their
//! content.

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// A file of the page.
pub(crate) struct Asset {
    /// The path, which changes with the content.
    pub(crate) path: String,
    kind: &'static str,
    content: &'static str,
}

fn asset(name: &str, extension: &str, kind: &'static str, content: &'static str) -> Asset {
    let hash = hex::encode(Sha256::digest(content.as_bytes()));
    Asset { path: format!("/assets/{name}-{}.{extension}", &hash[..12]), kind, content }
}

pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| asset("page", "css", "text/css; charset=utf-8", include_str!("assets/page.css")));
pub(crate) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| asset("page", "js", "text/javascript; charset=utf-8", include_str!("assets/page.js")));
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| asset("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// Answers with a file, which may be kept for ever.
pub(crate) async fn get(Path(name): Path<String>) -> Response {
    let wanted = format!("/assets/{name}");
    let Some(asset) = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.path == wanted) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut response = Response::new(Body::from(asset.content));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}
