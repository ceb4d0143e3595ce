//! `audit-trail master-key`: makes a master key, exchanges it, and tells what it does not open.

use crate::failure::{Failure, Role};
use crate::keys::{keep_secret, one_master_key};
use crate::say;
use crate::text::{count, harmless};
use audit_runtime::MasterKey;
use audit_runtime::admin::{Admin, MasterKeyCheck, Progress};
use clap::{Args, Subcommand};
use sqlx::postgres::PgPool;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

/// Lines of subjects and of master keys that are printed.
const LINES: usize = 20;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Master {
    /// The file for the key, which must not exist
    #[arg(value_name = "FILE", required = true)]
    path: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Wraps the keys of all subjects by another master key
    ///
    /// First give services, readers and the page both keys: the new one first, as in `--master-key NEW
    /// --master-key OLD`, or both in one file. Then run this, as the owner of the tables. It may be
    /// interrupted, run again, and run twice at once. When it reports that nothing is left, remove the
    /// old key from the services, and run it once more.
    Rotate {
        /// The file of the new master key, or after a `|` a command that prints it. --master-key names
        /// the old one
        #[arg(value_name = "NEW-KEY|'|COMMAND'")]
        new: String,
    },
    /// Counts the keys of subjects that --master-key opens, and names the subjects whose values are lost
    /// without another one
    Check,
}

impl Master {
    /// Whether it runs without a database.
    pub(crate) fn is_local(&self) -> bool {
        self.command.is_none()
    }

    /// The name, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self.command {
            None => "master-key",
            Some(Command::Rotate { .. }) => "master-key rotate",
            Some(Command::Check) => "master-key check",
        }
    }

    /// The role that it needs.
    pub(crate) fn role(&self) -> Role {
        if matches!(self.command, Some(Command::Rotate { .. })) { Role::Owner } else { Role::Reader }
    }

    pub(crate) fn make(&self) -> Result<(), Failure> {
        let Some(path) = &self.path else { return Ok(()) };
        keep_secret(path, MasterKey::generate().secret())?;
        say::line(format!("the master key is in {}; personal data can be read with this key only", path.display()))
    }

    pub(crate) async fn run(self, pool: &PgPool, key: Option<MasterKey>) -> Result<(), Failure> {
        let admin = Admin::new(pool.clone());
        let missing =
            |what: &str| Failure::Usage(format!("missing --master-key: give {what}, or set AUDIT_MASTER_KEY"));
        match self.command {
            None => Ok(()),
            Some(Command::Rotate { new }) => {
                let old = key.ok_or_else(|| missing("the key that wraps the keys of subjects now"))?;
                rotate(&admin, one_master_key("NEW-KEY", &new)?, old).await
            }
            Some(Command::Check) => {
                let key = key.ok_or_else(|| missing("the key to check"))?;
                check(&admin, &key).await
            }
        }
    }
}

async fn rotate(admin: &Admin, new: MasterKey, old: MasterKey) -> Result<(), Failure> {
    let (from, to) = (old.id(), new.id());
    if from == to {
        return Err(Failure::Usage(format!(
            "both master keys are the same, {to}; make a new one with audit-trail master-key FILE"
        )));
    }
    let is_seen = io::stderr().is_terminal();
    let step = |progress: Progress<'_>| {
        if is_seen {
            say::notice(progress);
        }
    };
    let rotated = admin.rotate_master_key(&new.with_older(old), step).await?;
    say::line(format!(
        "{} wrapped by master key {to} now, {} before",
        count(rotated.rewrapped, "key of a subject is", "keys of subjects are"),
        count(rotated.current, "was so", "were so"),
    ))?;
    if !rotated.is_rewritten {
        say::notice(
            "audit_keys was in use, so its files still contain keys as the old master key wrapped them; run VACUUM (FULL) audit_keys to erase them",
        );
    }
    match rotated.unreadable {
        0 => Ok(()),
        unreadable => Err(Failure::Other(format!(
            "{} by neither master key, and left as they were; audit-trail master-key check --master-key NEW-KEY names the subjects",
            count(unreadable, "key is opened", "keys are opened")
        ))),
    }
}

async fn check(admin: &Admin, key: &MasterKey) -> Result<(), Failure> {
    let found = admin.check_master_key(key).await?;
    say::line(format!("opened        {} by master key {}", count(found.readable, "key", "keys"), key.id()))?;
    if found.older > 0 {
        say::line(format!(
            "older         {} by an older one: audit-trail master-key rotate wraps them by {}",
            count(found.older, "key", "keys"),
            key.id()
        ))?;
    }
    say::line(format!("destroyed     {}: their subjects were forgotten", count(found.destroyed, "key", "keys")))?;
    if found.unreadable == 0 {
        return say::line("lost          nothing");
    }
    say::line(format!("lost          {}", count(found.unreadable, "key", "keys")))?;
    lost(&found)?;
    Err(Failure::Other(loss(&found)))
}

/// Prints whose keys are lost, and which master keys would open them.
fn lost(found: &MasterKeyCheck) -> Result<(), Failure> {
    let mut masters: Vec<_> = found.by_master_key.iter().collect();
    masters.sort_by_key(|(id, keys)| (std::cmp::Reverse(**keys), (*id).clone()));
    for (id, keys) in masters.iter().take(LINES) {
        say::line(format!("              {} with the master key id {id}", count(**keys, "key", "keys")))?;
    }
    match &found.subjects {
        None => say::notice("this role may not read whose keys there are; connect as the owner of the audit tables"),
        Some(subjects) => {
            for subject in subjects.iter().take(LINES) {
                say::line(format!("              {}", harmless(subject)))?;
            }
        }
    }
    let more = found.subjects.as_ref().map_or(0, |subjects| subjects.len().saturating_sub(LINES));
    if more > 0 {
        say::line(format!("              and {more} further subjects"))?;
    }
    Ok(())
}

/// Returns what is lost, and what is not, in a sentence.
pub(crate) fn loss(found: &MasterKeyCheck) -> String {
    let opened = found.readable + found.older;
    format!(
        "{} not opened by this master key, so personal values of {} cannot be read until the master key with one of the listed ids is \
         found; the values of the other {}, all rows, seals and proofs are intact",
        count(found.unreadable, "key is", "keys are"),
        match &found.subjects {
            Some(subjects) if !subjects.is_empty() => count(subjects.len() as u64, "subject", "subjects"),
            _ => "their subjects".into(),
        },
        count(opened, "key", "keys"),
    )
}
