//! Text of other people's on a terminal: nothing in it may speak to the terminal, and little of it fits.

use std::fmt::Write as _;
use std::io::{self, Write};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a terminal would obey: control characters, and those that turn the direction of writing.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Without what a terminal would obey.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '\u{23ce}',
            '\t' => ' ',
            c if steers(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// What becomes of a character that a terminal would obey, in output for programs that is shown on one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Instead {
    /// Its escape in JSON: the text means the same.
    Escape,
    /// The replacement character: CSV has no escapes.
    Replacement,
}

/// A terminal that is given whole lines, without what it would obey.
pub(crate) struct Guarded<W: Write> {
    terminal: W,
    instead: Instead,
    line: Vec<u8>,
}

impl<W: Write> Guarded<W> {
    pub(crate) fn new(terminal: W, instead: Instead) -> Self {
        Self { terminal, instead, line: Vec::new() }
    }
}

impl<W: Write> Write for Guarded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.line.len();
        self.line.extend_from_slice(bytes);
        // Only what is new may end a line: one of many pieces is looked through once.
        let Some(end) = bytes.iter().rposition(|b| *b == b'\n') else {
            return Ok(bytes.len());
        };
        let rest = self.line.split_off(before + end + 1);
        let lines = std::mem::replace(&mut self.line, rest);
        let mut shown = String::with_capacity(lines.len());
        let text = String::from_utf8_lossy(&lines);
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            let ends_line = c == '\n' || (c == '\r' && rest.as_str().starts_with('\n'));
            match self.instead {
                _ if !steers(c) || ends_line => shown.push(c),
                Instead::Escape => drop(write!(shown, "\\u{:04x}", u32::from(c))),
                Instead::Replacement => shown.push('\u{fffd}'),
            }
        }
        self.terminal.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.terminal.flush()
    }
}

/// At most so many columns, with an ellipsis where something is missing.
pub(crate) fn elided(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut elided = String::new();
    let mut left = columns.saturating_sub(1);
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if width > left {
            break;
        }
        left -= width;
        elided.push(c);
    }
    elided.push('\u{2026}');
    elided
}

/// Followed by spaces up to so many columns.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_speaks_to_the_terminal() {
        let nasty = "\u{1b}]0;owned\u{7}\u{1b}[31mred\u{9b}2J\r\nnext\u{202e}evil\u{7f}";
        let harmless = harmless(nasty);
        assert!(harmless.chars().all(|c| !c.is_control()) && !harmless.contains('\u{202e}'), "{harmless:?}");
        assert!(harmless.contains("red") && harmless.contains("next"));
    }

    #[test]
    fn text_is_cut_by_columns_and_not_by_bytes() {
        assert_eq!(elided("abc", 3), "abc");
        assert_eq!(elided("abcd", 3), "ab\u{2026}");
        assert_eq!(elided("日本語", 5), "日本\u{2026}");
        assert_eq!(elided("äöü", 2), "ä\u{2026}");
        assert_eq!(padded("日", 4), "日  ");
    }
}
