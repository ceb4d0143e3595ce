//! Hands a request's context to a worker behind a channel, whose events name the request's user and
//! correlation.
//!
//! cargo run -p examples --example background_worker

use audit_runtime::{Audit, Context, audited};
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

type Jobs = mpsc::Sender<(Context, Uuid)>;

#[audited(event = "report.requested", skip(jobs))]
async fn request(report_id: Uuid, jobs: &Jobs) -> anyhow::Result<()> {
    Ok(jobs.send((Context::current(), report_id)).await?)
}

#[audited(event = "report.built")]
async fn build(report_id: Uuid) -> usize {
    4_096
}

async fn work(mut jobs: mpsc::Receiver<(Context, Uuid)>) {
    while let Some((context, report_id)) = jobs.recv().await {
        context.scope(build(report_id)).await;
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let audit = Audit::builder().print().start()?;
    audit.install()?;

    let (jobs, receiver) = mpsc::channel(16);
    let worker = tokio::spawn(work(receiver));
    for user in ["ada", "grace"] {
        let context = Context::new().actor(format!("user:{user}"));
        context.scope(request(Uuid::now_v7(), &jobs)).await?;
    }
    drop(jobs);
    worker.await?;

    audit.shutdown(Duration::from_secs(1)).await?;
    Ok(())
}
