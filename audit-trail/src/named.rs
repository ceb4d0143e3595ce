//! An entity on the command line: `account 42` or `account:42`.

use crate::failure::Failure;
use crate::select;
use clap::Args;

#[derive(Debug, Clone, Args)]
pub(crate) struct Named {
    /// The entity: its type, as in `account 42`, or type and key, as in account:42
    #[arg(value_name = "TYPE[:KEY]", allow_hyphen_values = true)]
    entity: String,
    /// The entity's id, or its own key, as in 42, INV-2026-0007 or a tuple's DE/7
    #[arg(allow_hyphen_values = true)]
    key: Option<String>,
}

impl Named {
    /// Returns the type and the key. A type on its own is a mistake of this subcommand's user.
    pub(crate) fn of(self, subcommand: &str) -> Result<(String, String), Failure> {
        match self {
            Self { entity, key: Some(key) } => Ok((entity, key)),
            Self { entity, key: None } => select::entity(&entity).map_err(|_| {
                Failure::Usage(format!(
                    "the key of the {entity} is missing; write audit-trail {subcommand} {entity} KEY, \
                     or audit-trail find {entity} to look for this text"
                ))
            }),
        }
    }
}
