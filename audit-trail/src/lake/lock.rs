//! Object Lock: objects of S3 that nobody can delete or replace before a day.
//!
//! The client has no option for it. So each request that makes an object gets the two headers, and is
//! signed again with them.

use audit_runtime::Timestamp;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{ClientOptions, HeaderValue};
use std::time::Duration;

/// The principals that may end a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Roles with a right of their own
    Governance,
    /// Nobody
    Compliance,
}

/// How long objects are locked, from when they are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lock {
    pub(crate) mode: Mode,
    pub(crate) days: u32,
}

const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";
const HASH: &str = "x-amz-content-sha256";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Lock {
    fn headers(self) -> [(&'static str, String); 2] {
        let mode = match self.mode {
            Mode::Governance => "GOVERNANCE",
            Mode::Compliance => "COMPLIANCE",
        };
        let until = Timestamp::now().saturating_add(DAY * self.days).to_string();
        [(MODE, mode.to_owned()), (UNTIL, until.replace("+00:00", "Z"))]
    }
}

/// Connects as usual, with requests that lock what they make.
#[derive(Debug)]
pub(super) struct LockConnector {
    lock: Lock,
    credentials: AwsCredentialProvider,
    region: String,
}

impl LockConnector {
    pub(super) fn new(lock: Lock, credentials: AwsCredentialProvider, region: String) -> Self {
        Self { lock, credentials, region }
    }
}

impl HttpConnector for LockConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        let (lock, credentials, region) = (self.lock, self.credentials.clone(), self.region.clone());
        Ok(HttpClient::new(Locking { client, lock, credentials, region }))
    }
}

#[derive(Debug)]
struct Locking {
    client: HttpClient,
    lock: Lock,
    credentials: AwsCredentialProvider,
    region: String,
}

/// Returns whether a request makes an object: in one piece, or as the beginning of several.
fn makes_object(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let asks = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match request.method().as_str() {
        "PUT" => !asks("uploadId"),
        "POST" => asks("uploads"),
        _ => false,
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error)
}

#[async_trait::async_trait]
impl HttpService for Locking {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if makes_object(&request) {
            for (name, value) in self.lock.headers() {
                request.headers_mut().insert(name, HeaderValue::from_str(&value).map_err(failed)?);
            }
            let credential = self.credentials.get_credential().await.map_err(failed)?;
            let stated = request.headers().get(HASH).and_then(|hash| hash.to_str().ok()).map(str::to_owned);
            let digest = stated.as_deref().and_then(|hash| hex::decode(hash).ok());
            let signs = stated.as_deref() != Some("UNSIGNED-PAYLOAD");
            let authorizer = AwsAuthorizer::new(&credential, "s3", &self.region).with_sign_payload(signs);
            authorizer.try_authorize(&mut request, digest.as_deref()).map_err(failed)?;
        }
        self.client.execute(request).await
    }
}
