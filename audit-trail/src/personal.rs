//! `audit-trail subject` and `audit-trail forget`

use crate::environment;
use crate::failure::{Failure, plain};
use crate::say;
use crate::show::{Printer, Style};
use crate::text::{count, harmless};
use audit_runtime::admin::Admin;
use audit_runtime::trail::Trail;
use clap::Args;
use futures_util::TryStreamExt;
use sqlx::postgres::PgPool;

/// Finds the events whose entity, target, actor or personal values are the person's, and those whose
/// data name it, as in `"customer_id": 42`. Personal values of other entities are found by the owner
/// of the audit tables only. It reads the whole trail.
#[derive(Debug, Args)]
pub(crate) struct Subject {
    /// The person, as `subject = ..` names it, as in `customer:42`
    subject: String,
}

/// Requires the owner of the audit tables, or a role of `migrate --eraser`. Later events about the
/// subject get a new key, and so do events that wait in a journal. Run it again when these are
/// shipped. It reaches marked values only: no other actors, error texts, ids, keys and tenants of
/// entities, values without a mark, and neither backups nor archives. A subject with personal data in
/// events under a hold is refused: lift the hold first.
#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The subjects, as `subject = ..` names them
    #[arg(required = true, value_name = "SUBJECT")]
    subjects: Vec<String>,
    /// The actor of the events audit.forgotten [env: USER]
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
}

/// Returns the administration in the name of this actor, or of the user.
pub(crate) fn admin(pool: &PgPool, actor: Option<String>) -> Admin {
    actor.or_else(environment::user).into_iter().fold(Admin::new(pool.clone()), |admin, actor| admin.actor(actor))
}

/// The places that no key erases.
const NOT_REACHED: &str = "not erased: actors and values that are not marked as personal, error texts, ids and keys of entities, tenants; \
                           backups, archives and other copies";

/// Whether a hold keeps the subject's personal data.
fn is_held(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some("55000")
}

impl Subject {
    pub(crate) async fn run(self, trail: &Trail, style: &Style) -> Result<(), Failure> {
        let found = trail.subject(&self.subject).await?;
        if !found.finds_personal_values() {
            say::notice(
                "this role may not read whose keys there are, so events that only hold a personal value of the person are missing; \
                 connect as the owner of the audit tables to find them",
            );
        }
        let mut printer = Printer::new(style)?;
        let mut events = Box::pin(found.stream());
        while let Some(event) = events.try_next().await? {
            printer.event(&event)?;
        }
        printer.end()?;
        if printer.printed() == 0 {
            return Err(Failure::Nothing(format!("found no event about {}", self.subject)));
        }
        Ok(())
    }
}

impl Forget {
    /// Forgets one after another. A subject that is unknown stops none of the others.
    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let admin = admin(pool, self.actor);
        let (mut unknown, mut held, mut is_rewritten, mut printed) = (Vec::new(), Vec::new(), true, Ok(()));
        for subject in &self.subjects {
            match admin.forget(subject).await {
                Ok(None) => unknown.push(harmless(subject)),
                Err(error) => match Failure::from(error) {
                    Failure::Database(error) if is_held(&error) => {
                        held.push(format!("{}: {}", harmless(subject), plain(&error)));
                    }
                    failure => return Err(failure),
                },
                Ok(Some(forgotten)) => {
                    // Each key is destroyed in rows that are rewritten later, too.
                    is_rewritten = forgotten.is_rewritten;
                    let text = format!("{} is forgotten: key {} is destroyed", harmless(subject), forgotten.key);
                    printed = printed.and(say::line(text));
                }
            }
        }
        if unknown.len() + held.len() < self.subjects.len() {
            if !is_rewritten {
                say::notice(
                    "audit_keys was in use, so its files still contain the wrapped key; run VACUUM (FULL) audit_keys to erase it",
                );
            }
            say::notice(NOT_REACHED);
        }
        if !held.is_empty() {
            held.iter().for_each(say::notice);
            if !unknown.is_empty() {
                say::notice(format!("found no key of {}", unknown.join(", ")));
            }
            printed?;
            return Err(Failure::Other(format!(
                "{} not forgotten",
                count(held.len() as u64, "subject is", "subjects are")
            )));
        }
        if unknown.is_empty() {
            return printed;
        }
        printed?;
        Err(Failure::Nothing(format!(
            "found no key of {}: no personal data of this subject was stored, or the subject is forgotten already",
            unknown.join(", ")
        )))
    }
}
