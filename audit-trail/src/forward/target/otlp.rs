//! OpenTelemetry logs, by OTLP over HTTP in Protocol Buffers
//! (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! The service is called directly, and not by the batch processor of an SDK, which drops records when it
//! is full.

use super::http::{answered, body, client, read, secret};
use super::{SendError, TargetError, TargetOptions};
use crate::forward::message::{Ended, Message, Origin, trace};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url};
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct OtlpTarget {
    client: Client,
    url: Url,
    token: Option<HeaderValue>,
    is_gzip: bool,
}

impl OtlpTarget {
    pub(super) fn new(mut url: Url, options: &TargetOptions) -> Result<Self, TargetError> {
        if url.path() == "/" {
            url.set_path("/v1/logs");
        }
        let token = options.token.as_deref().map(|token| secret(&format!("Bearer {token}"))).transpose()?;
        Ok(Self { client: client(options)?, url, token, is_gzip: !options.no_gzip })
    }

    pub(super) async fn send(&self, messages: &[Message]) -> Result<(), SendError> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/x-protobuf");
        let request = match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        };
        let (request, body) = body(request, &export(messages).encode_to_vec(), self.is_gzip)?;
        let answer = answered(request.body(body)).await?;
        let response = ExportLogsServiceResponse::decode(&*read(answer).await?)
            .map_err(|_| SendError::away("the answer is none of OTLP; write otlp+https://host:4318"))?;
        match response.partial_success {
            // The collector does not state which ones: each is tried alone.
            Some(partial) if partial.rejected_log_records > 0 => Err(SendError::Refused(
                format!(
                    "{} of {} records were rejected: {}",
                    partial.rejected_log_records,
                    messages.len(),
                    partial.error_message
                ),
                None,
            )),
            _ => Ok(()),
        }
    }
}

/// The request: records of one process under its resource.
fn export(messages: &[Message]) -> ExportLogsServiceRequest {
    let mut by_origin: BTreeMap<&str, Vec<&Message>> = BTreeMap::new();
    for message in messages {
        by_origin.entry(message.event().origin.as_deref().unwrap_or_default()).or_default().push(message);
    }
    let resource_logs = by_origin.into_values().map(|messages| {
        let origin = Origin::of(messages[0].event());
        let attributes = [
            ("service.name", Some(text(origin.service.unwrap_or("audit_events")))),
            ("host.name", origin.host.map(text)),
            ("process.pid", origin.process.map(|process| Value::IntValue(process.into()))),
        ];
        let scope = InstrumentationScope {
            name: "audit-trail".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            ..InstrumentationScope::default()
        };
        let log_records = messages.into_iter().map(record).collect();
        ResourceLogs {
            resource: Some(Resource { attributes: pairs(attributes), ..Resource::default() }),
            scope_logs: vec![ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

/// A record: its body is the event in the form of the feed, and its attributes are the fields.
fn record(message: &Message) -> LogRecord {
    let event = message.event();
    let nanoseconds = |time: audit_runtime::Timestamp| {
        time.unix_micros().and_then(|micros| u64::try_from(micros).ok()?.checked_mul(1_000)).unwrap_or_default()
    };
    let (severity, severity_text) = match Ended::of(event) {
        Ended::Failed => (SeverityNumber::Warn, "WARN"),
        _ => (SeverityNumber::Info, "INFO"),
    };
    let bytes = |id: Option<&str>| id.and_then(|id| hex::decode(id).ok()).unwrap_or_default();
    let trace = trace(event);
    let id = |id: Option<uuid::Uuid>| id.map(|id| Value::StringValue(id.to_string()));
    let leaf = message.arrived.leaf;
    let attributes = [
        ("audit.id", Some(text(&event.id.to_string()))),
        ("audit.actor", Some(text(&event.actor))),
        ("audit.entity.type", Some(text(&event.entity_type))),
        ("audit.entity.id", id(event.entity_id)),
        ("audit.entity.key", event.entity_key.as_deref().map(text)),
        ("audit.targets", event.targets.as_ref().map(|targets| text(&targets.to_string()))),
        ("audit.tenant", event.tenant.as_deref().map(text)),
        ("audit.outcome", Some(text(event.outcome_text()))),
        ("audit.created_at", Some(text(&event.created_at.to_string()))),
        ("audit.duration_us", event.duration_us.map(Value::IntValue)),
        ("audit.correlation_id", id(event.correlation_id)),
        ("audit.causation_id", id(event.causation_id)),
        ("audit.context", event.context.as_ref().map(|context| text(&context.to_string()))),
        ("audit.data", Some(text(&event.data.to_string()))),
        ("audit.origin", event.origin.as_deref().map(text)),
        ("audit.batch_id", Some(text(&message.arrived.batch_id.to_string()))),
        ("audit.leaf_number", leaf.map(|leaf| Value::IntValue(leaf.number.into()))),
        ("audit.leaf", leaf.map(|leaf| text(&hex::encode(leaf.digest)))),
    ];
    LogRecord {
        time_unix_nano: nanoseconds(event.created_at),
        observed_time_unix_nano: nanoseconds(message.arrived.stored_at),
        severity_number: severity.into(),
        severity_text: severity_text.into(),
        event_name: event.event_type.clone(),
        body: Some(AnyValue { value: Some(text(&message.text)) }),
        attributes: pairs(attributes),
        trace_id: bytes(trace.map(|(trace, _)| trace)),
        span_id: bytes(trace.and_then(|(_, span)| span)),
        ..LogRecord::default()
    }
}

fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn pairs<const N: usize>(pairs: [(&str, Option<Value>); N]) -> Vec<KeyValue> {
    let pair = |(key, value): (&str, Option<Value>)| {
        Some(KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value?) }), ..KeyValue::default() })
    };
    pairs.into_iter().filter_map(pair).collect()
}
