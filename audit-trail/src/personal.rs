//! `audit-trail forget` and `audit-trail master-key`

use crate::checkpoint::keep_secret;
use crate::environment::{self, variable};
use crate::failure::Failure;
use crate::say;
use crate::text::harmless;
use audit_runtime::MasterKey;
use audit_runtime::admin::Admin;
use clap::Args;
use sqlx::postgres::PgPool;
use std::path::PathBuf;

/// Where the master key is, if neither a file nor a command is named.
const VARIABLE: &str = "AUDIT_MASTER_KEY";

/// Requires the owner of the audit tables. Later events about the subject get a new key, and so do
/// events that wait in a journal. Run it again when these are shipped.
#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The subject, as `subject = ..` names it
    subject: String,
    /// The actor of the event audit.forgotten [env: USER]
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct NewMasterKey {
    /// The file for the key, which must not exist
    #[arg(value_name = "FILE")]
    path: PathBuf,
}

/// Returns the administration in the name of this actor, or of the user.
pub(crate) fn admin(pool: &PgPool, actor: Option<String>) -> Admin {
    actor.or_else(environment::user).into_iter().fold(Admin::new(pool.clone()), |admin, actor| admin.actor(actor))
}

impl Forget {
    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let Some(forgotten) = admin(pool, self.actor).forget(&self.subject).await? else {
            let text = format!(
                "found no key of {}: no personal data of this subject was stored, or the subject is forgotten already",
                self.subject
            );
            return Err(Failure::Nothing(text));
        };
        if !forgotten.is_rewritten {
            say::notice(
                "audit_keys was in use, so its files still contain the wrapped key; run VACUUM (FULL) audit_keys to erase it",
            );
        }
        say::line(format!("{} is forgotten: key {} is destroyed", harmless(&self.subject), forgotten.key))
    }
}

impl NewMasterKey {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        keep_secret(&self.path, MasterKey::generate().secret())?;
        say::line(format!("the master key is in {}; personal data can be read with this key only", self.path.display()))
    }
}

/// The master key, if one is given or in the environment.
pub(crate) fn master_key(given: Option<&str>) -> Result<Option<MasterKey>, Failure> {
    let key = match given.map(|given| given.strip_prefix('|').ok_or(given)) {
        Some(Ok(command)) => MasterKey::from_command(command),
        Some(Err(path)) => MasterKey::from_file(path),
        None => match variable(VARIABLE) {
            Some(_) => MasterKey::from_env(VARIABLE),
            None => return Ok(None),
        },
    };
    key.map(Some).map_err(|error| {
        let of = if given.is_some() { "--master-key" } else { VARIABLE };
        Failure::Usage(format!("{of}: {error}"))
    })
}
