//! The catalogue: what each annotated function records, without a call of it.
//!
//! [`catalogue`](crate::catalogue()) lists the functions of this program, and
//! [`testing::catalogue`](crate::testing::catalogue) prints them for a snapshot test. The writer
//! stores the list once for each version of a service, and
#![cfg_attr(feature = "postgres", doc = "[`Trail::catalogues`](crate::trail::Trail::catalogues) reads it back.")]
#![cfg_attr(not(feature = "postgres"), doc = "`Trail::catalogues` reads it back.")]

mod about;
mod function;
mod shown;

pub(crate) use about::About;
pub use function::{AuditedField, AuditedFunction, FieldCapture, FieldSource, Guarantee};
