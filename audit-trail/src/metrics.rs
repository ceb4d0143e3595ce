//! Metrics in the text format of Prometheus
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use crate::failure::Failure;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// A metric with one value.
pub(crate) struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: String,
}

impl Metric {
    pub(crate) fn counter(name: &'static str, help: &'static str, value: impl ToString) -> Self {
        Self { name, kind: "counter", help, value: value.to_string() }
    }

    pub(crate) fn gauge(name: &'static str, help: &'static str, value: impl ToString) -> Self {
        Self { name, kind: "gauge", help, value: value.to_string() }
    }

    /// The lines of the metric, with a label if there is one.
    pub(crate) fn text(&self, label: Option<(&str, &str)>) -> String {
        let Self { name, kind, help, value } = self;
        let label = label.map_or_else(String::new, |(label, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{{{label}=\"{value}\"}}")
        });
        format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{label} {value}\n")
    }
}

/// Serves a text at `/metrics` for as long as the process runs.
pub(crate) async fn serve(
    address: SocketAddr,
    text: impl Fn() -> String + Send + Sync + 'static,
) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::Usage(format!("--metrics {address}: {error}; choose another port")))?;
    let bound = listener.local_addr()?;
    let text = Arc::new(text);
    let answer = move || {
        let text = Arc::clone(&text);
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text()) }
    };
    let router = Router::new().route("/metrics", get(answer));
    tokio::spawn(async move { drop(axum::serve(listener, router).await) });
    Ok(bound)
}
