//! `audit-trail verify` and `audit-trail proof`

use crate::environment::variable;
use crate::failure::Failure;
use crate::say;
use crate::show::Style;
use crate::text::{count, harmless};
use audit_runtime::Timestamp;
use audit_runtime::admin::{Admin, Progress};
use audit_runtime::evidence::{Finding, Proof, ProofError, PublicKey, Report, Verification};
use audit_runtime::trail::Trail;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::json;
use sqlx::postgres::PgPool;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};
use uuid::Uuid;

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The public key that must have signed the checkpoints, or the file of the key. A log that was
    /// restored takes the key of its name before, too: the option may be given several times [env:
    /// AUDIT_CHECKPOINT_PUBLIC_KEY]
    #[arg(long, value_name = "KEY|FILE")]
    public_key: Vec<String>,
    /// A checkpoint that was kept elsewhere; reports changes since then to all that it covers. May
    /// be given several times
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Verifies this proof instead, without the database
    #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
    proof: Option<PathBuf>,
    /// The number of connections that read rows; by default, one for each core of this machine
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Prints findings and the report as JSON, one on each line; the same as --output json
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// The event's id, as audit-trail entity TYPE KEY --wide shows it; or an entity, as in
    /// account:42, for a proof of each event that is about it
    #[arg(value_name = "ID|TYPE:KEY", value_parser = proven)]
    of: Proven,
    /// The file that a prune exported the event to, if the database no longer contains it
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
}

/// The events that are to be proven.
#[derive(Debug, Clone)]
enum Proven {
    Event(Uuid),
    Entity(String, String),
}

fn proven(text: &str) -> Result<Proven, String> {
    match Uuid::parse_str(text) {
        Ok(id) => Ok(Proven::Event(id)),
        Err(_) => crate::select::entity(text).map(|(kind, key)| Proven::Entity(kind, key)).map_err(|_| {
            "expected the id of an event, a UUID, or an entity as in account:42; audit-trail find looks for other texts"
                .to_owned()
        }),
    }
}

impl Prove {
    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let admin = Admin::new(pool.clone());
        let proof = match (&self.of, &self.archive) {
            (Proven::Event(id), None) => admin.prove(*id).await?,
            (Proven::Event(id), Some(path)) => admin.prove_archived(&archived(path, *id)?).await?,
            (Proven::Entity(kind, key), None) => return prove_all(pool, &admin, kind, key).await,
            (Proven::Entity(..), Some(_)) => {
                return Err(Failure::Usage("--archive: name one event by its id, as the archive has it".into()));
            }
        };
        say::line(proof.to_json()?)
    }
}

/// Prints the proof of each event of an entity that a checkpoint covers, and names the others.
async fn prove_all(pool: &PgPool, admin: &Admin, kind: &str, key: &str) -> Result<(), Failure> {
    let events = Trail::new(pool.clone()).entity(kind, key).await?;
    if events.is_empty() {
        return Err(Failure::Nothing(format!("no event is about {kind} {key}")));
    }
    let mut without = 0_u64;
    for event in &events {
        match admin.prove(event.id).await {
            Ok(proof) => say::line(proof.to_json()?)?,
            Err(error @ ProofError::Database(_)) => return Err(error.into()),
            Err(error) => {
                without += 1;
                say::notice(error);
            }
        }
    }
    match without {
        0 => Ok(()),
        _ => Err(Failure::Other(format!("{without} of {} events have no proof", events.len()))),
    }
}

/// The proofs in a file, which are JSON documents one behind the other.
fn proofs(text: &str) -> Result<Vec<Proof>, String> {
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut proofs, mut begin) = (Vec::new(), 0);
    while let Some(document) = documents.next() {
        document.map_err(|error| format!("invalid proof: {error}"))?;
        let end = documents.byte_offset();
        proofs.push(Proof::from_json(&text[begin..end]).map_err(|error| error.to_string())?);
        begin = end;
    }
    if proofs.is_empty() { Err("the file contains no proof".into()) } else { Ok(proofs) }
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
    Err(Failure::Nothing(format!("found no event {id} in {}", path.display())))
}

/// Reads the public key of the flag `--public-key`, or of the environment: the key or its file.
pub(crate) fn public_key(given: Option<&str>) -> Result<Option<PublicKey>, Failure> {
    let Some(given) = given.map(str::to_owned).or_else(|| variable("AUDIT_CHECKPOINT_PUBLIC_KEY")) else {
        return Ok(None);
    };
    let text = match fs::read_to_string(&given) {
        Ok(text) => text,
        Err(_) => given,
    };
    text.parse().map(Some).map_err(|error| Failure::Usage(format!("--public-key: {error}")))
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Finding(&'a Finding),
    Report(Finished<'a>),
}

/// The report, and when it was made.
#[derive(Serialize)]
struct Finished<'a> {
    #[serde(flatten)]
    report: &'a Report,
    finished_at: Timestamp,
}

impl Verify {
    /// Whether it runs without a database.
    pub(crate) fn is_local(&self) -> bool {
        self.proof.is_some()
    }

    pub(crate) fn verify_proof(&self, style: &Style) -> Result<(), Failure> {
        let Some(path) = &self.proof else {
            return Ok(());
        };
        let keys = self.keys()?;
        if keys.is_empty() {
            return Err(Failure::Usage(
                "missing --public-key: a proof is verified by the key that the checkpoint's author published".into(),
            ));
        }
        let proofs = proofs(&read(path)?).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        for proof in proofs {
            let by_any = keys.iter().map(|key| proof.verify(key)).reduce(Result::or);
            let Some(proven) = by_any.transpose()? else { continue };
            let by = proven.by.map(|by| by.to_string());
            if self.json || style.is_given() {
                say::line(json!({"proven": {"event_id": proven.event_id, "name": proven.name, "by": by}}))?;
                continue;
            }
            let by = by.map_or_else(String::new, |by| format!(" by {by}"));
            say::line(format!("event {} was in the trail of {}{by}", proven.event_id, harmless(&proven.name)))?;
        }
        Ok(())
    }

    fn keys(&self) -> Result<Vec<PublicKey>, Failure> {
        match &*self.public_key {
            [] => Ok(public_key(None)?.into_iter().collect()),
            given => given.iter().filter_map(|key| public_key(Some(key)).transpose()).collect(),
        }
    }

    pub(crate) async fn run(mut self, pool: &PgPool, style: &Style) -> Result<(), Failure> {
        self.json |= style.is_given();
        let keys = self.keys()?;
        if keys.is_empty() && !self.json {
            say::notice(
                "signatures are not verified without --public-key; an attacker who can change the trail can forge checkpoints too",
            );
        }
        let mut verification = Verification::new();
        verification = keys.into_iter().fold(verification, Verification::public_key);
        verification =
            self.threads.into_iter().fold(verification, |verification, threads| verification.threads(threads.into()));
        for path in &self.checkpoint {
            verification = verification.checkpoint(path.display().to_string(), read(path)?);
        }
        let begin = Instant::now();
        let bar =
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_finish(ProgressFinish::AndClear);
        if !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} rows, {per_sec}, {eta} left")
        {
            bar.set_style(style);
        }
        let mut failed = None;
        let admin = Admin::new(pool.clone());
        let verifying = admin.verify(&verification, |step| match step {
            Progress::Rows { done, of } => {
                bar.set_length(of);
                bar.set_position(done);
            }
            Progress::Found(finding) => {
                let printed = bar.suspend(|| self.print(&Line::Finding(&finding)));
                failed = failed.take().or(printed.err());
            }
            _ => {}
        });
        let report = verifying.await?;
        bar.finish_and_clear();
        let (took, finished_at) = (begin.elapsed().as_secs_f64(), Timestamp::from(SystemTime::now()));
        let printed = failed
            .map_or(Ok(()), Err)
            .and_then(|()| self.print(&Line::Report(Finished { report: &report, finished_at })))
            .and_then(|()| {
                let rate = report.rows as f64 / took;
                if self.json { Ok(()) } else { say::line(format!("took          {took:.1} s, {rate:.0} rows/s")) }
            });
        match (report.problems, printed) {
            (0, printed) => printed,
            (_, Err(failure)) if !failure.is_closed_pipe() => Err(failure),
            // The exit status reports problems even if their output is not read to the end.
            (problems, _) => Err(Failure::Other(format!("{problems} problems: the trail is not what was recorded"))),
        }
    }

    fn print(&self, line: &Line<'_>) -> Result<(), Failure> {
        let mut output = io::stdout().lock();
        match line {
            _ if self.json => writeln!(output, "{}", serde_json::to_string(line)?)?,
            Line::Finding(finding) if finding.is_problem() => writeln!(output, "{}", harmless(&finding.to_string()))?,
            Line::Finding(finding) => writeln!(output, "note: {}", harmless(&finding.to_string()))?,
            Line::Report(Finished { report, .. }) => {
                writeln!(
                    output,
                    "rows          {} are what was sealed, {} of them sealed late",
                    report.rows, report.sealed_late
                )?;
                writeln!(output, "refused       {} are in the quarantine as they were sealed", report.quarantined)?;
                writeln!(output, "pruned        {} as the events audit.pruned say", report.pruned)?;
                writeln!(
                    output,
                    "not sealed    {} of others since the last checkpoint",
                    count(report.not_sealed, "row", "rows")
                )?;
                writeln!(
                    output,
                    "batches       {} under a checkpoint, {} since",
                    report.batches, report.batches_since_checkpoint
                )?;
                writeln!(
                    output,
                    "checkpoints   {}, {} verified",
                    report.checkpoints,
                    count(report.signatures, "signature", "signatures")
                )?;
                let verdict = if report.problems == 0 { "nothing was changed" } else { "NOT what was recorded" };
                writeln!(output, "problems      {}: {verdict}", report.problems)?;
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))
}
