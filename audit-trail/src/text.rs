//! Text of other people's on a terminal: nothing in it may speak to the terminal, and little of it
//! fits.

use std::fmt::Write as _;
use std::io::{self, Write};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The widest column of a line that is not cut: one long name does not pad every row.
pub(crate) const WIDEST: usize = 64;
/// Marks that may follow each other: no script needs more above one letter.
const MOST_MARKS: usize = 8;
/// Characters that are shown as one: the longest emoji of Unicode has ten.
const MOST_JOINED: usize = 16;

/// Returns whether a terminal would obey a character, or show nothing where it stands: control
/// characters, those that turn the direction of writing, line separators, and format characters
/// (general categories Cc, Cf, Zl and Zp of
/// <https://www.unicode.org/Public/16.0.0/ucd/UnicodeData.txt>, without the joiners of words and
/// emojis and without signs that can be seen).
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns whether a text has a character that a terminal would obey, or show nothing for.
pub(crate) fn has_unseen(text: &str) -> bool {
    text.chars().any(steers)
}

/// Returns a text without what a terminal would obey.
pub(crate) fn harmless(text: &str) -> String {
    shown(text, Instead::Replacement)
}

/// Returns JSON without what a terminal would obey: its escapes mean the same.
pub(crate) fn harmless_json(json: &str) -> String {
    shown(json, Instead::Escape)
}

/// Returns a text of several lines without what a terminal or a page would obey.
#[cfg(feature = "serve")]
pub(crate) fn harmless_lines(text: &str) -> String {
    text.lines().map(harmless).collect::<Vec<_>>().join("\n")
}

fn shown(text: &str, instead: Instead) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        marks = if c.width() == Some(0) { marks + 1 } else { 0 };
        match c {
            '\n' => shown.push('\u{23ce}'),
            '\t' => shown.push(' '),
            c if steers(c) => instead.put(c, &mut shown),
            _ if marks > MOST_MARKS => {
                if marks == MOST_MARKS + 1 {
                    shown.push('\u{fffd}');
                }
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Says what becomes of a character that a terminal would obey.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Instead {
    /// Its escape in JSON: the text means the same.
    Escape,
    /// The replacement character: CSV has no escapes.
    Replacement,
}

impl Instead {
    fn put(self, c: char, shown: &mut String) {
        match self {
            Self::Escape => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string succeeds.
                    let _ = write!(shown, "\\u{unit:04x}");
                }
            }
            Self::Replacement => shown.push('\u{fffd}'),
        }
    }
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
            if steers(c) && !ends_line { self.instead.put(c, &mut shown) } else { shown.push(c) }
        }
        self.terminal.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.terminal.flush()
    }
}

/// Returns what is shown as one character, one by one.
fn clusters(text: &str) -> impl Iterator<Item = &str> {
    text.graphemes(true).flat_map(|cluster| {
        let mut rest = cluster;
        std::iter::from_fn(move || {
            let end = rest.char_indices().nth(MOST_JOINED).map_or(rest.len(), |(at, _)| at);
            let (cluster, behind) = rest.split_at(end);
            rest = behind;
            (!cluster.is_empty()).then_some(cluster)
        })
    })
}

/// Returns the columns that a text takes.
pub(crate) fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { clusters(text).map(UnicodeWidthStr::width).sum() }
}

/// Returns at most so many columns of a text, with an ellipsis where something is missing.
pub(crate) fn elided(text: &str, most: usize) -> String {
    let (mut width, mut cut) = (0, 0);
    for cluster in clusters(text) {
        width += cluster.width();
        if width > most {
            return if most == 0 { String::new() } else { format!("{}\u{2026}", &text[..cut]) };
        }
        if width < most {
            cut += cluster.len();
        }
    }
    text.to_owned()
}

/// Returns at most so many columns of the end of a text, with an ellipsis where something is missing.
pub(crate) fn end_of(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let begins = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]);
    let fitting = begins.map(|at| &text[at..]).find(|end| columns(end) < most);
    fitting.map_or_else(String::new, |end| format!("\u{2026}{end}"))
}

/// Returns a text followed by blanks up to so many columns.
pub(crate) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// Narrows columns in these steps, each to the least that it names, until together they take no
/// more than `most`.
pub(crate) fn narrowed(widths: &mut [usize], steps: &[(usize, usize)], most: usize) {
    for &(column, least) in steps {
        let excess = widths.iter().sum::<usize>().saturating_sub(most);
        let width = &mut widths[column];
        *width -= excess.min(width.saturating_sub(least));
    }
}

/// Counts things: `1 batch`, `2 batches`.
pub(crate) fn count(number: impl TryInto<u64>, one: &str, many: &str) -> String {
    // Nothing has fewer than none.
    let number = number.try_into().unwrap_or_default();
    format!("{number} {}", if number == 1 { one } else { many })
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
        assert_eq!([end_of("abcd", 3), end_of("日本語", 5), end_of("abc", 3)], ["…cd", "…本語", "abc"]);
        assert_eq!([end_of("abc", 1), end_of("abc", 0)], ["…", ""]);
        // A column is as wide by the cells of an emoji as by its whole.
        for emoji in ["\u{260e}\u{fe0f}", "1\u{fe0f}\u{20e3}", "\u{1f469}\u{200d}\u{1f680}", "\u{1f1e9}\u{1f1ea}"] {
            let text = emoji.repeat(5);
            for most in 0..12 {
                assert!(columns(&elided(&text, most)) <= most, "{text} {most}");
                assert_eq!(columns(&padded(&elided(&text, most), 12)), 12, "{text} {most}");
            }
        }
    }

    #[test]
    fn zero_width_characters_are_bounded() {
        let marks = format!("a{}b", "\u{301}".repeat(10_000));
        assert_eq!(harmless(&marks), format!("a{}\u{fffd}b", "\u{301}".repeat(MOST_MARKS)));
        let joined = "\u{1f469}\u{200d}".repeat(10_000);
        assert!(elided(&joined, 10).chars().count() <= 10 * MOST_JOINED, "{}", elided(&joined, 10).len());
    }

    #[test]
    fn invisible_characters_are_shown_and_json_stays_the_same() {
        for unseen in
            ['\u{61c}', '\u{2028}', '\u{2029}', '\u{ad}', '\u{2060}', '\u{200b}', '\u{feff}', '\u{e0041}', '\u{202e}']
        {
            assert_eq!(harmless(&format!("a{unseen}")), "a\u{fffd}", "{unseen:?}");
            let json = serde_json::Value::from(format!("{unseen}\u{200d}\u{1b}\"\n"));
            let shown = harmless_json(&json.to_string());
            assert!(!shown.contains(unseen), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), json);
        }
    }

    #[test]
    fn columns_give_way_in_their_order_and_no_more_than_they_must() {
        for (most, expected) in [(30, [10, 20]), (29, [10, 19]), (20, [8, 12]), (1, [5, 12])] {
            let mut widths = [10, 20];
            narrowed(&mut widths, &[(1, 12), (0, 5)], most);
            assert_eq!(widths, expected);
        }
    }

    #[test]
    fn one_is_counted_as_one() {
        assert_eq!(["0 rows", "1 row", "2 rows"], [0, 1, 2].map(|rows: u64| count(rows, "row", "rows")));
    }
}
