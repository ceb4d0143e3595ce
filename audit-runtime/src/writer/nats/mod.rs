//! NATS JetStream in front of a relay.
//!
//! JetStream is a pipe, not a custodian: its acknowledgement moves a batch to *sent*, and the journal
//! lets go on the relay's answer alone, as with any sink. (It has lost messages that it had
//! acknowledged: nats-server #7564, #7545, #7549, #6888.)
//!
//! ```text
//! audit.batch.<service>.<journal>   a batch for the stream: its bytes (see wire/with_keys.rs), compressed by zstd
//!                                   headers: Nats-Msg-Id <journal>:<first> (and :<number>, if the stream had one of
//!                                   that id), Audit-Ask (the question), Audit-Reply
//! audit.made.<journal>              a batch that a relay has made, for those who read the stream again:
//!                                   interruptions; its headers lack Audit-Reply
//! audit.ask.<service>               any other question, to one of the relays: its header in Audit-Ask
//! _INBOX.<service>.>                answers: their header in Audit-Answer, ids or nothing as the payload; of a
//!                                   large one, both are in the payload, compressed by zstd, and the header says so
//! ```

mod asker;
mod client;
mod options;
mod packed;
mod subject;

pub(crate) use asker::connect;
pub(crate) use client::connect as connect_client;
pub use options::Nats;
#[cfg(test)]
pub(crate) use packed::unpack_answer;
pub(crate) use packed::{pack, pack_answer, unpack};
pub(crate) use subject::{ASKS, BATCHES, MADE, SHIPPER, may_speak_for, of_service, service_of};

/// The header of a message that has a question.
pub(crate) const ASK: &str = "Audit-Ask";
/// The header of a message that has an answer.
pub(crate) const ANSWER: &str = "Audit-Answer";
/// The value of [`ANSWER`] where the answer is packed into the body.
pub(crate) const PACKED: &str = "packed";
/// The header that names the subject of the answer to a batch.
pub(crate) const REPLY: &str = "Audit-Reply";
/// The stream of batches.
pub(crate) const STREAM: &str = "AUDIT";
