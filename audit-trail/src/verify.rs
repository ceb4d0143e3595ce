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
    /// Verifies the events of this file instead, as another system has them: lines that audit-trail
    /// forward sent, or `-` for standard input
    #[cfg(feature = "forward")]
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    feed: Option<PathBuf>,
    /// The level at which the feed was sent. Events at the level metadata state their digest alone: it is
    /// compared, and the other fields of these events are not proven
    #[cfg(feature = "forward")]
    #[arg(long, value_name = "LEVEL", requires = "feed")]
    level: Option<crate::forward::Level>,
    /// The CA certificates, in PEM, one of which must lead to the certificate of each time stamp's
    /// authority
    #[cfg(feature = "timestamp")]
    #[arg(long, value_name = "FILE")]
    timestamp_ca: Option<PathBuf>,
    /// Verifies this lake instead, without the database: s3://bucket/prefix or a directory
    #[cfg(feature = "lake")]
    #[arg(long, value_name = "URL|DIRECTORY", conflicts_with_all = ["proof", "threads"])]
    lake: Option<String>,
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
    /// Makes the proof of this lake's files, without the database
    #[cfg(feature = "lake")]
    #[arg(long, value_name = "URL|DIRECTORY", conflicts_with = "archive")]
    lake: Option<String>,
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

#[cfg(feature = "lake")]
impl Prove {
    pub(crate) fn lake(&self) -> Option<&str> {
        self.lake.as_deref()
    }

    pub(crate) async fn run_on_lake(self) -> Result<(), Failure> {
        match (&self.of, &self.lake) {
            (Proven::Event(id), Some(lake)) => say::line(crate::lake::prove(lake, *id).await?.to_json()?),
            _ => Err(Failure::Usage("--lake: name one event by its id".into())),
        }
    }
}

#[cfg(feature = "lake")]
impl Verify {
    pub(crate) fn lake(&self) -> Option<&str> {
        self.lake.as_deref()
    }

    pub(crate) async fn run_on_lake(mut self, style: &Style) -> Result<(), Failure> {
        self.json |= style.is_given();
        let keys = self.keys()?;
        self.warn_without(&keys);
        let saved = self.saved()?;
        let lake = self.lake.clone().unwrap_or_default();
        let shown = Shown::new(&self);
        let (begin, mut failed) = (Instant::now(), None);
        #[cfg(feature = "timestamp")]
        let authorities = crate::timestamp::authorities(self.timestamp_ca.as_deref())?;
        let verifying = crate::lake::verify(
            &lake,
            &keys,
            &saved,
            #[cfg(feature = "timestamp")]
            authorities.as_ref(),
            |step| match step {
                crate::lake::Step::Rows { done, of } => shown.at(done, of),
                crate::lake::Step::Found(finding) => shown.found(&finding, &mut failed),
            },
        );
        let report = verifying.await?;
        shown.end(&report, begin, failed)
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
        #[cfg(feature = "timestamp")]
        let authorities = crate::timestamp::authorities(self.timestamp_ca.as_deref())?;
        let proofs = proofs(&read(path)?).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        for proof in proofs {
            let by_any = keys.iter().map(|key| proof.verify(key)).reduce(Result::or);
            let Some(proven) = by_any.transpose()? else { continue };
            let by = proven.by.map(|by| by.to_string());
            #[cfg(feature = "timestamp")]
            let existence = proof.existence(authorities.as_ref())?;
            if self.json || style.is_given() {
                let mut line = json!({"proven": {"event_id": proven.event_id, "name": proven.name, "by": by}});
                #[cfg(feature = "timestamp")]
                if let Some(existence) = &existence {
                    line["proven"]["existed"] = json!({
                        "at": existence.since(), "authority": existence.authority, "is_trusted": existence.is_trusted,
                    });
                }
                say::line(line)?;
                continue;
            }
            let by = by.map_or_else(String::new, |by| format!(" by {by}"));
            say::line(format!("event {} was in the trail of {}{by}", proven.event_id, harmless(&proven.name)))?;
            #[cfg(feature = "timestamp")]
            if let Some(existence) = existence {
                let recorded = proven.recorded_at.map_or_else(String::new, |at| format!(", recorded as {at}"));
                let existed = harmless(&existence.to_string());
                say::line(format!("event {} existed at {existed}{recorded}", proven.event_id))?;
            }
        }
        Ok(())
    }

    fn keys(&self) -> Result<Vec<PublicKey>, Failure> {
        match &*self.public_key {
            [] => Ok(public_key(None)?.into_iter().collect()),
            given => given.iter().filter_map(|key| public_key(Some(key)).transpose()).collect(),
        }
    }

    fn warn_without(&self, keys: &[PublicKey]) {
        if keys.is_empty() && !self.json {
            say::notice(
                "signatures are not verified without --public-key; an attacker who can change the trail can forge checkpoints too",
            );
        }
    }

    /// The checkpoints that were kept elsewhere: their names, and their notes.
    fn saved(&self) -> Result<Vec<(String, String)>, Failure> {
        self.checkpoint.iter().map(|path| Ok((path.display().to_string(), read(path)?))).collect()
    }

    pub(crate) async fn run(mut self, pool: &PgPool, style: &Style) -> Result<(), Failure> {
        self.json |= style.is_given();
        let keys = self.keys()?;
        self.warn_without(&keys);
        #[cfg(feature = "forward")]
        if let Some(feed) = &self.feed {
            let note = match &*self.checkpoint {
                [] => None,
                [path] => Some(read(path)?),
                _ => return Err(Failure::Usage("--checkpoint: --feed takes one".into())),
            };
            return crate::copies::verify(
                pool,
                feed,
                self.level.unwrap_or_default(),
                &keys,
                note.as_deref(),
                self.json,
            )
            .await;
        }
        let mut verification = Verification::new();
        verification = keys.into_iter().fold(verification, Verification::public_key);
        verification =
            self.threads.into_iter().fold(verification, |verification, threads| verification.threads(threads.into()));
        #[cfg(feature = "timestamp")]
        if let Some(authorities) = crate::timestamp::authorities(self.timestamp_ca.as_deref())? {
            verification = verification.authorities(authorities);
        }
        for (name, note) in self.saved()? {
            verification = verification.checkpoint(name, note);
        }
        let shown = Shown::new(&self);
        let (begin, mut failed) = (Instant::now(), None);
        let admin = Admin::new(pool.clone());
        let verifying = admin.verify(&verification, |step| match step {
            Progress::Rows { done, of } => shown.at(done, of),
            Progress::Found(finding) => shown.found(&finding, &mut failed),
            _ => {}
        });
        let report = verifying.await?;
        shown.end(&report, begin, failed)
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
                if report.time_stamps > 0 {
                    writeln!(output, "time stamps   {} of checkpoints verified", report.time_stamps)?;
                }
                let verdict = if report.problems == 0 { "nothing was changed" } else { "NOT what was recorded" };
                writeln!(output, "problems      {}: {verdict}", report.problems)?;
            }
        }
        Ok(())
    }
}

/// A verification under way, as it is shown.
struct Shown<'a> {
    command: &'a Verify,
    bar: ProgressBar,
}

impl<'a> Shown<'a> {
    fn new(command: &'a Verify) -> Self {
        let bar =
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_finish(ProgressFinish::AndClear);
        if !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} rows, {per_sec}, {eta} left")
        {
            bar.set_style(style);
        }
        Self { command, bar }
    }

    fn at(&self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.bar.set_position(done);
    }

    fn found(&self, finding: &Finding, failed: &mut Option<Failure>) {
        let printed = self.bar.suspend(|| self.command.print(&Line::Finding(finding)));
        *failed = failed.take().or(printed.err());
    }

    fn end(&self, report: &Report, begin: Instant, failed: Option<Failure>) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        let (took, finished_at) = (begin.elapsed().as_secs_f64(), Timestamp::from(SystemTime::now()));
        let printed = failed
            .map_or(Ok(()), Err)
            .and_then(|()| self.command.print(&Line::Report(Finished { report, finished_at })))
            .and_then(|()| {
                let rate = report.rows as f64 / took;
                if self.command.json {
                    Ok(())
                } else {
                    say::line(format!("took          {took:.1} s, {rate:.0} rows/s"))
                }
            });
        match (report.problems, printed) {
            (0, printed) => printed,
            (_, Err(failure)) if !failure.is_closed_pipe() => Err(failure),
            // The exit status reports problems even if their output is not read to the end.
            (problems, _) => Err(Failure::Other(format!("{problems} problems: the trail is not what was recorded"))),
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))
}
