//! Feeds: events to other systems, each at least once, in the order in which they arrived.
//!
//! A [`Forward`] sends events to a [`Target`] in a [`Form`]. Its position is in the database, and it
//! moves once the target has taken the events. So a feed that is killed repeats some events, with the
//! same ids, and misses none.
//!
//! ```no_run
//! use audit_trail::forward::{Form, Forward, Target, TargetOptions};
//! # async fn send(options: sqlx::postgres::PgConnectOptions) -> Result<(), audit_trail::forward::ForwardError> {
//! let target = Target::new("https://siem.example.com/events", &TargetOptions::default())?;
//! let ends = async { drop(tokio::signal::ctrl_c().await) };
//! let sent = Forward::new("siem", target, Form::Ocsf).run(&options, ends).await?;
//! println!("{} events sent", sent.events);
//! # Ok(())
//! # }
//! ```

pub(crate) mod command;
mod deliver;
mod ended;
mod feeds;
pub(crate) mod form;
mod mapping;
mod message;
mod metrics;
mod object;
mod run;
mod sealing;
mod target;

pub use ended::{ForwardError, Sent};
pub(crate) use feeds::Command as FeedCommand;
pub use form::Form;
pub use mapping::{Mapping, MappingError};
pub use message::Level;
pub use run::Forward;
pub use target::{Target, TargetError, TargetOptions};
