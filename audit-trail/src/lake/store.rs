//! Where a lake is: a directory, a bucket of S3, or one of Google or Azure.

use super::lock::{Lock, LockConnector};
use crate::failure::Failure;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig, WriteMultipart,
};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};
use walkdir::WalkDir;

/// The bytes that are sent at once.
const PART: usize = 8 << 20;
/// Until when a request is tried again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The files of a lake.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    files: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    shown: String,
    /// `None` if it is remote.
    directory: Option<PathBuf>,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Returns whether a text names a lake and not a file: a URL, a directory, or what ends like one.
pub(crate) fn is_lake(text: &str) -> bool {
    text.contains("://") || text.ends_with('/') || Path::new(text).is_dir()
}

impl Store {
    /// Opens the lake of a URL or a directory, which is made if `makes` says so.
    pub(crate) fn open(text: &str, lock: Option<Lock>, makes: bool) -> Result<Self, Failure> {
        let usage = |why: String| Failure::Usage(format!("{text}: {why}"));
        if !text.contains("://") {
            return Self::directory(Path::new(text), text, lock, makes);
        }
        let url = Url::parse(text).map_err(|error| {
            usage(format!(
                "{error}; write s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or a directory"
            ))
        })?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            // It would be printed.
            return Err(Failure::Usage("the URL of a lake has no credentials and no options: they are in the environment, as in AWS_ACCESS_KEY_ID".into()));
        }
        if lock.is_some() && url.scheme() != "s3" {
            return Err(no_lock());
        }
        let unusable = |error: object_store::Error| usage(error.to_string());
        let files: Arc<dyn ObjectStore> = match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| usage("it is not a path of this machine".into()))?;
                return Self::directory(&path, text, lock, makes);
            }
            "s3" => Arc::new(s3(&url, lock).map_err(unusable)?),
            "gs" => {
                tls();
                let builder = GoogleCloudStorageBuilder::from_env().with_url(text).with_retry(retry());
                Arc::new(builder.build().map_err(unusable)?)
            }
            "az" | "azure" | "abfs" | "abfss" => {
                tls();
                let builder = MicrosoftAzureBuilder::from_env().with_url(text).with_retry(retry());
                Arc::new(builder.build().map_err(unusable)?)
            }
            other => {
                let why = format!("{other}:// is not known; write s3://, gs://, az://, file:// or a directory");
                return Err(usage(why));
            }
        };
        let prefix = ObjectPath::from_url_path(url.path()).map_err(|error| usage(error.to_string()))?;
        Ok(Self { files, prefix, shown: text.trim_end_matches('/').to_owned(), directory: None })
    }

    fn directory(path: &Path, shown: &str, lock: Option<Lock>, makes: bool) -> Result<Self, Failure> {
        if lock.is_some() {
            return Err(no_lock());
        }
        if makes {
            std::fs::create_dir_all(path).map_err(|error| Failure::Other(format!("cannot make {shown}: {error}")))?;
        } else if !path.is_dir() {
            return Err(Failure::Usage(format!("{shown}: there is no such directory")));
        }
        let files = LocalFileSystem::new_with_prefix(path)
            .map_err(|error| Failure::Other(format!("cannot open {shown}: {error}")))?
            .with_fsync(true);
        Ok(Self {
            files: Arc::new(files),
            prefix: ObjectPath::default(),
            shown: shown.trim_end_matches('/').to_owned(),
            directory: Some(path.to_owned()),
        })
    }

    fn path(&self, path: &str) -> ObjectPath {
        path.split('/').fold(self.prefix.clone(), |at, part| at.join(part))
    }

    fn failed(&self, what: &str, error: object_store::Error) -> Failure {
        let text = format!("cannot {what} in the lake {self}: {error}");
        // The client tells a refusal in words, where it lists.
        let is_refused = ["403 Forbidden", "401 Unauthorized"].iter().any(|status| text.contains(status));
        match error {
            object_store::Error::Generic { .. } if self.directory.is_none() && !is_refused => {
                Failure::Unreachable(format!("{text}; check the address, the network and the server"))
            }
            _ if is_refused || is_denied(&error) => {
                Failure::Other(format!("{text}; check the credentials in the environment and their rights"))
            }
            _ => Failure::Other(text),
        }
    }

    /// Returns the name of the place, however it was written.
    pub(crate) fn place(&self) -> String {
        let canonical = self.directory.as_ref().and_then(|directory| directory.canonicalize().ok());
        canonical.map_or_else(|| self.shown.clone(), |directory| directory.display().to_string())
    }

    /// Lists all files, or those in a folder.
    pub(crate) async fn list(&self, folder: Option<&str>) -> Result<Vec<Listed>, Failure> {
        let prefix = folder.map_or_else(|| self.prefix.clone(), |folder| self.path(folder));
        let is_all = prefix.as_ref().is_empty();
        let listed = self.files.list(if is_all { None } else { Some(&prefix) });
        let strip = |meta: ObjectMeta| {
            let path: Vec<_> = meta.location.prefix_match(&self.prefix)?.map(|part| part.as_ref().to_owned()).collect();
            Some(Listed { path: path.join("/") })
        };
        let listed = listed.try_filter_map(|meta| std::future::ready(Ok(strip(meta)))).try_collect().await;
        listed.map_err(|error| self.failed("list the files", error))
    }

    /// Deletes files of a directory that were written in part, by a program that was killed.
    ///
    /// The store writes `name#1` and renames it to `name`. It does not list such files.
    pub(crate) fn clear_parts(&self, is_ours: impl Fn(&str) -> bool) -> Result<usize, Failure> {
        let Some(directory) = &self.directory else { return Ok(0) };
        let mut cleared = 0;
        for entry in WalkDir::new(directory) {
            let entry = entry.map_err(|error| Failure::Other(format!("cannot list the lake {self}: {error}")))?;
            let path = entry.path().strip_prefix(directory).ok().and_then(Path::to_str);
            let Some((name, number)) = path.and_then(|path| path.rsplit_once('#')) else { continue };
            let is_part = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
            if is_part && is_ours(name) && entry.file_type().is_file() {
                match std::fs::remove_file(entry.path()) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        let path = entry.path().display();
                        return Err(Failure::Other(format!("cannot delete {path}: {error}")));
                    }
                    _ => cleared += 1,
                }
            }
        }
        Ok(cleared)
    }

    /// Reads a small file as a whole, or returns `None` if it is not there.
    pub(crate) async fn read(&self, path: &str) -> Result<Option<Bytes>, Failure> {
        let read = async { self.files.get(&self.path(path)).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&format!("read {path}"), error)),
        }
    }

    /// Reads a part of a file.
    pub(crate) async fn range(&self, path: &str, range: Range<u64>) -> Result<Bytes, object_store::Error> {
        self.files.get_range(&self.path(path), range).await
    }

    /// Copies a file to a temporary one, and returns that with its hash, or `None` if it is not there.
    pub(crate) async fn fetch(&self, path: &str) -> Result<Option<Fetched>, Failure> {
        let failed = |error| self.failed(&format!("read {path}"), error);
        let got = match self.files.get(&self.path(path)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            got => got.map_err(failed)?,
        };
        let (mut file, mut hash, mut bytes) = (tempfile::tempfile()?, Sha256::new(), 0);
        let mut stream = got.into_stream();
        while let Some(part) = stream.next().await {
            let part = part.map_err(failed)?;
            hash.update(&part);
            bytes += part.len() as u64;
            file.write_all(&part)?;
        }
        file.rewind()?;
        Ok(Some(Fetched { file, sha256: hex::encode(hash.finalize()), bytes }))
    }

    /// Returns the size of a file, if it is there.
    pub(crate) async fn size(&self, path: &str) -> Result<Option<u64>, Failure> {
        match self.files.head(&self.path(path)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&format!("look for {path}"), error)),
        }
    }

    /// Sends a file, whose name contains its hash: it may be there already.
    pub(crate) async fn send(&self, path: &str, file: &mut File, bytes: u64) -> Result<(), Failure> {
        let failed = |error| self.failed(&format!("write {path}"), error);
        file.rewind()?;
        let to = self.path(path);
        if bytes <= PART as u64 {
            let mut whole = Vec::new();
            file.read_to_end(&mut whole)?;
            return self.files.put(&to, PutPayload::from(whole)).await.map(drop).map_err(failed);
        }
        let upload = self.files.put_multipart(&to).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        loop {
            let mut part = Vec::with_capacity(PART);
            if Read::by_ref(file).take(PART as u64).read_to_end(&mut part)? == 0 {
                break;
            }
            upload.wait_for_capacity(2).await.map_err(failed)?;
            upload.put(part.into());
        }
        upload.finish().await.map(drop).map_err(failed)
    }

    /// Creates a file, and returns whether there was none.
    pub(crate) async fn create(&self, path: &str, content: Vec<u8>) -> Result<bool, Failure> {
        let options = PutOptions::from(PutMode::Create);
        match self.files.put_opts(&self.path(path), PutPayload::from(content), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.failed(&format!("write {path}"), error)),
        }
    }

    /// Deletes a file. One that a lock keeps stays.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        match self.files.delete(&self.path(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. } | object_store::Error::PermissionDenied { .. }) => Ok(()),
            Err(error) => Err(self.failed(&format!("delete {path}"), error)),
        }
    }
}

fn is_denied(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. })
}

/// A file of a lake, by its path in it.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) path: String,
}

/// A copy of a file, without a name, and its hash.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) file: File,
    pub(crate) sha256: String,
    pub(crate) bytes: u64,
}

fn no_lock() -> Failure {
    Failure::Usage(
        "--lock-days: only S3 has Object Lock; for other stores, set a retention policy on the bucket or the container"
            .into(),
    )
}

fn retry() -> RetryConfig {
    RetryConfig { max_retries: 8, retry_timeout: PATIENCE, ..RetryConfig::default() }
}

/// Chooses the ciphers, for the client leaves that to its users.
fn tls() {
    // Another part of the process may have chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn s3(url: &Url, lock: Option<Lock>) -> Result<object_store::aws::AmazonS3, object_store::Error> {
    tls();
    let mut builder = AmazonS3Builder::from_env().with_url(url.as_str()).with_retry(retry());
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    if endpoint.as_deref().is_some_and(is_loopback) {
        builder = builder.with_allow_http(true);
    }
    let Some(lock) = lock else {
        return builder.build();
    };
    // S3 demands a checksum of what it locks.
    builder = builder.with_checksum_algorithm(Checksum::SHA256);
    let region = builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
    let credentials = builder.clone().build()?.credentials().clone();
    builder.with_http_connector(LockConnector::new(lock, credentials, region)).build()
}

/// Returns whether an endpoint is on this machine, where a connection needs no encryption.
fn is_loopback(endpoint: &str) -> bool {
    let url = Url::parse(endpoint).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
