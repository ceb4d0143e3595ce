//! `audit-trail verify` and `audit-trail proof`

use crate::failure::Failure;
use crate::text::harmless;
use audit_runtime::evidence::{self, Finding, Proof, PublicKey, Report, Verification, VerificationStep};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use sqlx::postgres::PgPool;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use uuid::Uuid;

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The public key that checkpoints have to be signed with, or the file it is in
    #[arg(long, env = "AUDIT_CHECKPOINT_PUBLIC_KEY", value_name = "KEY|FILE")]
    public_key: Option<String>,
    /// A checkpoint that was kept elsewhere: nothing it covers may have changed since; may be given several times
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Verifies this proof instead, without the database
    #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
    proof: Option<PathBuf>,
    /// How many connections read rows; by default as many as this machine has cores
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Findings and the report as JSON, one on each line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// The event
    id: Uuid,
    /// The file that a prune exported it to, if it is no longer in the database
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
}

impl Prove {
    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let proof = match &self.archive {
            None => evidence::prove(pool, self.id).await?,
            Some(path) => evidence::prove_archived(pool, &archived(path, self.id)?).await?,
        };
        writeln!(io::stdout().lock(), "{}", proof.to_json()?)?;
        Ok(())
    }
}

/// The line of an event in an archive.
fn archived(path: &Path, id: Uuid) -> Result<String, Failure> {
    let said = |error: io::Error| Failure::Usage(format!("{}: {error}", path.display()));
    let begin = format!("{{\"id\":\"{id}\"");
    for line in BufReader::new(File::open(path).map_err(said)?).lines() {
        let line = line.map_err(said)?;
        if line.starts_with(&begin) {
            return Ok(line);
        }
    }
    Err(Failure::Nothing(format!("there is no event {id} in {}", path.display())))
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Finding(&'a Finding),
    Report(&'a Report),
}

impl Verify {
    /// Whether it needs no database.
    pub(crate) fn is_local(&self) -> bool {
        self.proof.is_some()
    }

    pub(crate) fn verify_proof(&self) -> Result<(), Failure> {
        let Some(path) = &self.proof else {
            return Ok(());
        };
        let key = self.key()?.ok_or_else(|| {
            Failure::Usage(
                "a proof is worth what its key is: give --public-key, as whoever made the checkpoint published it"
                    .into(),
            )
        })?;
        let proof =
            Proof::from_json(&read(path)?).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        let proven = proof.verify(&key)?;
        let by = proven.by.map_or_else(String::new, |by| format!(" by {}", by.to_rfc3339()));
        println!("event {} was in the trail of {}{by}", proven.event_id, harmless(&proven.name));
        Ok(())
    }

    fn key(&self) -> Result<Option<PublicKey>, Failure> {
        let Some(given) = &self.public_key else {
            return Ok(None);
        };
        let text = match fs::read_to_string(given) {
            Ok(text) => text,
            Err(_) => given.clone(),
        };
        text.parse().map(Some).map_err(|error| Failure::Usage(format!("--public-key: {error}")))
    }

    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let key = self.key()?;
        if key.is_none() && !self.json {
            eprintln!(
                "audit-trail: without --public-key, signatures are not verified: whoever can change the trail could have changed checkpoints too"
            );
        }
        let mut verification = Verification::new(pool.clone());
        verification = key.into_iter().fold(verification, Verification::public_key);
        verification =
            self.threads.into_iter().fold(verification, |verification, threads| verification.threads(threads.into()));
        for path in &self.checkpoint {
            verification = verification.checkpoint(path.display().to_string(), read(path)?);
        }
        let begin = Instant::now();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} rows, {per_sec}, {eta} left")
        {
            bar.set_style(style);
        }
        let mut failed = None;
        let verifying = verification.run(|step| match step {
            VerificationStep::Rows { done, of } => {
                bar.set_length(of);
                bar.set_position(done);
            }
            VerificationStep::Found(finding) => {
                let told = bar.suspend(|| self.tell(&Line::Finding(&finding)));
                failed = failed.take().or(told.err());
            }
            _ => {}
        });
        let report = tokio::select! {
            report = verifying => report?,
            _ = tokio::signal::ctrl_c() => return Err(Failure::Other("interrupted: the trail is not verified".into())),
        };
        bar.finish_and_clear();
        if let Some(failure) = failed {
            return Err(failure);
        }
        self.tell(&Line::Report(&report))?;
        if !self.json {
            let took = begin.elapsed();
            let rate = report.rows as f64 / took.as_secs_f64();
            println!("took          {:.1} s, {rate:.0} rows/s", took.as_secs_f64());
        }
        match report.problems {
            0 => Ok(()),
            problems => Err(Failure::Other(format!("{problems} problems: the trail is not what was recorded"))),
        }
    }

    fn tell(&self, line: &Line<'_>) -> Result<(), Failure> {
        let mut output = io::stdout().lock();
        match line {
            _ if self.json => writeln!(output, "{}", serde_json::to_string(line)?)?,
            Line::Finding(finding) if finding.is_problem() => writeln!(output, "{}", harmless(&finding.to_string()))?,
            Line::Finding(finding) => writeln!(output, "note: {}", harmless(&finding.to_string()))?,
            Line::Report(report) => {
                writeln!(
                    output,
                    "rows          {} are what was sealed, {} of them sealed late",
                    report.rows, report.sealed_late
                )?;
                writeln!(output, "refused       {} are in the quarantine as they were sealed", report.quarantined)?;
                writeln!(output, "pruned        {} as the events audit.pruned say", report.pruned)?;
                writeln!(output, "not sealed    {} rows of others since the last checkpoint", report.not_sealed)?;
                writeln!(
                    output,
                    "batches       {} under a checkpoint, {} since",
                    report.batches, report.batches_since_checkpoint
                )?;
                writeln!(output, "checkpoints   {}, {} signatures verified", report.checkpoints, report.signatures)?;
                let verdict = if report.problems == 0 { "nothing was changed" } else { "NOT what was recorded" };
                writeln!(output, "problems      {}: {verdict}", report.problems)?;
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}
