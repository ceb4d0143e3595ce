//! A model of a journal, of a pipe that loses, repeats, reorders and delays, and of relays in front
//! of a database.
//!
//! The explorer visits every state that the steps of the model lead to, within bounds. Each step
//! stands for a function of the code, which its comment names. The actors are the process that has
//! the journal (a recorder, and then its adopters, one after another), the pipe and two relays.
//!
//! The model leaves out: personal values, interruptions, damaged records, refused rows, pruned
//! batches, and journals beside this one, which share no key with it.

pub mod adopter;
pub mod batch;
pub mod database;
pub mod disk;
pub mod explorer;
pub mod properties;
pub mod recorder;
pub mod rules;
pub mod state;
pub mod world;

pub use explorer::{Explored, explore};
pub use rules::{Bounds, Rules};
pub use world::World;
