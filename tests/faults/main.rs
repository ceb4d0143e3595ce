//! What was recorded is not lost.
