//! Exports: every event that matches, streamed, with a last line that states rows and SHA-256.

use super::access::{Role, Viewer};
use super::question::Question;
use super::refusal::Refusal;
use super::state::{EXPORTS, Site};
use crate::format::{COLUMNS, cloud_event, record};
use audit_runtime::trail::TrailEvent;
use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::Response;
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Events that are read at once.
const READ: u32 = 2_000;
/// Bytes that are sent at once, at least.
const CHUNK: usize = 64 * 1024;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Ndjson,
    Csv,
    CloudEvents,
}

impl Form {
    /// Reads the end of the path.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "ndjson" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "cloudevents" => Some(Self::CloudEvents),
            _ => None,
        }
    }

    fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::Ndjson => ("application/x-ndjson", "ndjson"),
            Self::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
            Self::CloudEvents => ("application/x-ndjson", "cloudevents.ndjson"),
        }
    }

    fn header(self) -> io::Result<Vec<u8>> {
        if self == Self::Csv { csv_line(COLUMNS) } else { Ok(Vec::new()) }
    }

    fn line(self, event: &TrailEvent) -> io::Result<Vec<u8>> {
        match self {
            Self::Ndjson => {
                let mut line = serde_json::to_vec(event)?;
                line.push(b'\n');
                Ok(line)
            }
            Self::Csv => csv_line(record(event, false)),
            Self::CloudEvents => Ok(format!("{}\n", cloud_event(event)).into_bytes()),
        }
    }

    /// The last line: how many rows there are, and the SHA-256 of all bytes before it.
    fn last(self, rows: u64, hash: &str) -> io::Result<Vec<u8>> {
        match self {
            Self::Csv => csv_line([format!("# {rows} rows; sha256 of the bytes before this line: {hash}")]),
            _ => Ok(format!("{}\n", json!({"export": {"rows": rows, "sha256": hash}})).into_bytes()),
        }
    }
}

fn csv_line(cells: impl IntoIterator<Item = impl AsRef<[u8]>>) -> io::Result<Vec<u8>> {
    // The last line has one cell, and the others have eighteen.
    let mut writer = csv::WriterBuilder::new().flexible(true).terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(cells)?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

type Events = Pin<Box<dyn Stream<Item = Result<TrailEvent, audit_runtime::DatabaseError>> + Send>>;

struct Export {
    form: Form,
    events: Events,
    hash: Sha256,
    rows: u64,
    is_over: bool,
    site: Arc<Site>,
    viewer: Viewer,
    query: String,
    ends: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

/// Exports the events that match a question, oldest first.
pub(crate) async fn export(
    site: Arc<Site>,
    viewer: Viewer,
    question: Question,
    form: Form,
) -> Result<Response, Refusal> {
    if !viewer.has(Role::Export) {
        return Err(Refusal::forbidden("your access does not include exports; ask for the role export"));
    }
    if question.find.is_some() {
        return Err(Refusal::bad("find: an export has no search for a text; use conditions, or audit-trail find"));
    }
    let filter = viewer.scope.narrow(question.at(None).filter()?).limit(READ);
    let permit = site.exports.clone().try_acquire_owned();
    let permit = permit
        .map_err(|_| Refusal::unavailable(format!("{EXPORTS} exports run already; try again when one has ended")))?;
    let query = question.query();
    let (kind, extension) = form.kind();
    let data = json!({"state": "began", "form": extension, "query": query});
    site.recorded.record(&viewer, "audit.exported", data).await?;
    let mut events: Events = Box::pin(site.trail_of(&viewer).stream(filter));
    // A reader gets the reason in words if no event can be read. Later on, only the connection can tell.
    let first = events.next().await.transpose()?;
    let export = Export {
        form,
        events: Box::pin(stream::iter(first.map(Ok)).chain(events)),
        hash: Sha256::new(),
        rows: 0,
        is_over: false,
        ends: site.ends.clone(),
        site,
        viewer,
        query,
        _permit: permit,
    };
    let header = form.header().map_err(|error| Refusal::unavailable(error.to_string()))?;
    let mut response = Response::new(Body::from_stream(stream(export, header)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"audit-events.{extension}\"")) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

fn stream(export: Export, header: Vec<u8>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold((export, header), |(mut export, mut chunk)| async move {
        if export.is_over {
            return Ok(None);
        }
        while chunk.len() < CHUNK {
            if *export.ends.borrow() {
                return Err(io::Error::other("the server ends"));
            }
            match export.events.next().await {
                Some(Ok(event)) => {
                    chunk.extend(export.form.line(&event)?);
                    export.rows += 1;
                }
                // The stream breaks off without a last line: whoever reads it sees that it is not whole.
                Some(Err(error)) => return Err(io::Error::other(error.to_string())),
                None => {
                    export.hash.update(&chunk);
                    let hash = hex::encode(export.hash.clone().finalize());
                    let data = export.data("ended", &hash);
                    let (site, viewer) = (export.site.clone(), export.viewer.clone());
                    let recorded = site.recorded.record(&viewer, "audit.exported", data).await;
                    recorded.map_err(|refusal| io::Error::other(refusal.to_string()))?;
                    chunk.extend(export.form.last(export.rows, &hash)?);
                    export.is_over = true;
                    return Ok(Some((Bytes::from(chunk), (export, Vec::new()))));
                }
            }
        }
        export.hash.update(&chunk);
        Ok(Some((Bytes::from(chunk), (export, Vec::new()))))
    })
}

impl Export {
    fn data(&self, state: &str, hash: &str) -> serde_json::Value {
        json!({"state": state, "form": self.form.kind().1, "query": self.query, "rows": self.rows, "sha256": hash})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_each_form_states_rows_and_hash() {
        assert_eq!(Form::Ndjson.last(2, "ab").unwrap(), b"{\"export\":{\"rows\":2,\"sha256\":\"ab\"}}\n");
        assert_eq!(Form::Csv.last(2, "ab").unwrap(), b"# 2 rows; sha256 of the bytes before this line: ab\r\n");
        assert!(Form::Csv.header().unwrap().starts_with(b"id,event_type,"));
    }
}
