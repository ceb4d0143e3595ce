//! `audit-trail forget` and `audit-trail master-key`

use crate::checkpoint::keep_secret;
use crate::failure::Failure;
use crate::text::harmless;
use audit_runtime::{MasterKey, MasterKeyError, forget};
use clap::Args;
use sqlx::postgres::PgPool;
use std::path::PathBuf;

/// Where the master key is, if neither a file nor a command is named.
const VARIABLE: &str = "AUDIT_MASTER_KEY";

/// It takes the tables' owner. What is recorded of the subject afterwards has a new key, and so has what still waits in a journal: run it
/// again when that is shipped.
#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// Whose data they are, as `subject = ..` says
    subject: String,
    /// Who asks for it, for the event audit.forgotten
    #[arg(long, env = "USER", hide_env_values = true, value_name = "NAME")]
    actor: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct NewMasterKey {
    /// The file it is written to, which must not exist
    #[arg(value_name = "FILE")]
    path: PathBuf,
}

impl Forget {
    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let Some(forgotten) = forget(pool, &self.subject, self.actor.as_deref()).await? else {
            let text =
                format!("there is no key of {}: nothing personal of it was stored, or it is forgotten", self.subject);
            return Err(Failure::Nothing(text));
        };
        println!("{} is forgotten: key {} is destroyed", harmless(&self.subject), forgotten.key);
        if !forgotten.is_rewritten {
            eprintln!(
                "audit-trail: audit_keys was in use: its files hold the wrapped key until VACUUM (FULL) audit_keys is run"
            );
        }
        Ok(())
    }
}

impl NewMasterKey {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        keep_secret(&self.path, MasterKey::generate().secret())?;
        println!("the master key is in {}: without it nobody reads what is personal", self.path.display());
        Ok(())
    }
}

/// The master key, if there is one.
pub(crate) fn master_key(given: Option<&str>) -> Result<Option<MasterKey>, Failure> {
    let key = match given.map(|given| given.strip_prefix('|').ok_or(given)) {
        Some(Ok(command)) => MasterKey::from_command(command),
        Some(Err(path)) => MasterKey::from_file(path),
        None => match MasterKey::from_env(VARIABLE) {
            Err(MasterKeyError::Variable(_)) => return Ok(None),
            key => key,
        },
    };
    key.map(Some).map_err(|error| Failure::Usage(error.to_string()))
}
