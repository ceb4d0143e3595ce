//! Text of other people's on a terminal: nothing in it may speak to the terminal, and little of it fits.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Without what a terminal would obey: control characters, and those that turn the direction of writing.
pub(crate) fn harmless(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars()
        .map(|c| match c {
            '\n' => '\u{23ce}',
            '\t' => ' ',
            c if steers(c) => '\u{fffd}',
            c => c,
        })
        .collect()
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
