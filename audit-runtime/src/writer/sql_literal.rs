//! Values as SQL literals, for statements that go in one message.

use crate::event::Timestamp;
use std::fmt;

/// Microseconds since 1970 as an SQL expression, within the years that both sides write alike. An
/// event may have any time, and its batch is found all the same.
pub(super) fn time(micros: Option<i64>) -> String {
    let time = micros.map(|micros| Timestamp::from_unix_micros(micros).clamp(Timestamp::YEAR_1, Timestamp::YEAR_9999));
    time.map_or_else(|| "NULL".into(), |time| format!("'{time}'"))
}

/// A text as an SQL literal, whatever `standard_conforming_strings` is.
pub(super) fn quoted(text: &str) -> String {
    format!("E'{}'", text.replace('\0', "\u{fffd}").replace('\\', "\\\\").replace('\'', "''"))
}

/// Bytes as an SQL literal.
pub(super) struct Bytea<'a>(pub(super) Option<&'a [u8]>);

impl fmt::Display for Bytea<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bytes) = self.0 else {
            return f.write_str("NULL");
        };
        f.write_str("'\\x")?;
        // `hex::encode` goes character by character: five times as long, and a batch has 48 bytes a
        // row.
        let mut digits = [0; 512];
        for bytes in bytes.chunks(digits.len() / 2) {
            let digits = &mut digits[..bytes.len() * 2];
            let _ = hex::encode_to_slice(bytes, digits);
            f.write_str(std::str::from_utf8(digits).unwrap_or_default())?;
        }
        f.write_str("'")
    }
}
