//! `audit-trail restore`

use crate::failure::Failure;
use crate::personal;
use crate::say::{self, Steps};
use crate::text::count;
use clap::Args;
use sqlx::postgres::PgPool;
use std::path::PathBuf;

/// Requires the owner of the audit tables. Each row is compared with the seal of its batch before it
/// is imported, and rows that no prune removed are refused. Rows that are there are left. Events
/// audit.reimported report the import. The next prune removes the rows again: hold them first.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The archive that a prune wrote
    #[arg(value_name = "ARCHIVE")]
    archive: PathBuf,
    /// The actor of the events audit.reimported [env: USER]
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Compares the rows with their seals, and imports nothing
    #[arg(long)]
    dry_run: bool,
}

impl Restore {
    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let mut steps = Steps::default();
        let admin = personal::admin(pool, self.actor);
        let report = admin.reimport(&self.archive, self.dry_run, |step| steps.step(&step.to_string())).await?;
        let are = if self.dry_run { "would come back" } else { "came back" };
        steps.step(&format!(
            "{} {are}, {} there already, {} refused",
            count(report.rows, "row", "rows"),
            report.present,
            report.refused
        ));
        if report.rows > 0 && !self.dry_run {
            say::notice("the next prune removes these rows again, unless a hold keeps them: audit-trail hold add");
        }
        steps.or("")?;
        match (report.refused, report.contradicted.len()) {
            (0, 0) => Ok(()),
            (0, _) => Err(Failure::Other(
                "rows of the archive contradict what was stated when they were pruned; audit-trail verify reports the event".into(),
            )),
            (lines, _) => Err(Failure::Other(format!("{} refused", count(lines, "line was", "lines were")))),
        }
    }
}
