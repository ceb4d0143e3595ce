//! Finds the parts of a URL.

use std::borrow::Cow;
use std::ops::Range;

/// Returns whether a text may hold a URL, by its `://`. JSON inside JSON may write this `:\/\/`.
#[inline]
pub(crate) fn may_hold_url(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // The high bit of a byte is set if the byte is the one sought, and rarely if it stands beside
    // one.
    #[inline]
    fn found(sought: u8, word: &[u8; 8]) -> u64 {
        let zeros = u64::from_ne_bytes(*word) ^ (ONES * u64::from(sought));
        zeros.wrapping_sub(ONES) & !zeros & ONES << 7
    }
    fn any(sought: u8, [a, b, c, d]: &[[u8; 8]; 4]) -> bool {
        found(sought, a) | found(sought, b) | found(sought, c) | found(sought, d) != 0
    }
    // A URL with a secret is at least as long as `a://b@`.
    if text.len() < 6 {
        return false;
    }
    let (words, rest) = text.as_chunks::<8>();
    let (blocks, words) = words.as_chunks::<4>();
    let mut start = 0;
    for block in blocks {
        // Times have colons too, but no slashes.
        if any(b':', block)
            && (any(b'/', block) || matches!(text.get(start + 32), Some(b'/' | b'\\')))
            && separator(&text[..text.len().min(start + 36)], start).is_some()
        {
            return true;
        }
        start += 32;
    }
    let has_colon = words.iter().fold(0, |all, word| all | found(b':', word)) != 0 || rest.contains(&b':');
    has_colon && separator(text, start).is_some()
}

/// Returns where the authority of the next URL starts, behind its `://`.
pub(super) fn separator(text: &[u8], from: usize) -> Option<usize> {
    let mut from = from;
    loop {
        from += text.get(from..)?.iter().position(|byte| *byte == b':')? + 1;
        match text.get(from..)? {
            [b'/', b'/', ..] => return Some(from + 2),
            [b'\\', b'/', b'\\', b'/', ..] => return Some(from + 4),
            _ => {}
        }
    }
}

/// The likeness of a text to hosts, the least likely first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Host {
    /// It cannot be one: `user:password`.
    No,
    /// A word and a number, perhaps a user and a password: `cache:6379`.
    Port,
    /// A word.
    Word,
    /// A dot, brackets or `localhost` show it.
    Name,
}

impl Host {
    /// Judges a host with or without a port, or several with commas between them.
    pub(super) fn of(text: &[u8]) -> Self {
        if let [b'[', address @ ..] = text
            && let Some(end) = address.iter().position(|byte| *byte == b']')
        {
            return if matches!(address[end + 1..], [] | [b':', ..] | [b'\\']) { Self::Name } else { Self::No };
        }
        text.split(|byte| *byte == b',').map(Self::of_one).min().unwrap_or(Self::Word)
    }

    fn of_one(text: &[u8]) -> Self {
        let colon = text.iter().position(|byte| *byte == b':');
        let (host, port) = text.split_at(colon.unwrap_or(text.len()));
        let is_name = host.contains(&b'.') || host.eq_ignore_ascii_case(b"localhost");
        match port {
            [] if is_name => Self::Name,
            [] => Self::Word,
            [_, port @ ..] if port.is_empty() || port.len() > 5 || host.is_empty() => Self::No,
            [_, port @ ..] if !port.iter().all(u8::is_ascii_digit) => Self::No,
            _ if is_name => Self::Name,
            _ => Self::Port,
        }
    }
}

/// Returns the part of a URL in front of the first delimiter. Properties delimit the host of
/// `sqlserver://host:1433;user=a;password=b@c`.
pub(super) fn authority_of(text: &[u8]) -> &[u8] {
    let end = text.iter().enumerate().position(|(index, byte)| match byte {
        b'/' | b'?' | b'#' | b'\\' | b'&' => true,
        b';' => parameter(&text[index + 1..]).is_some(),
        _ => false,
    });
    &text[..end.unwrap_or(text.len())]
}

/// Returns whether a text goes on as URLs do, with a `name=value` or another URL.
pub(super) fn is_continued(text: &[u8]) -> bool {
    let start = text.iter().position(|byte| matches!(byte, b'?' | b'#' | b'&' | b';'));
    start.is_some_and(|start| text[start..].contains(&b'=')) || separator(text, 0).is_some()
}

/// Returns the length of a parameter's name, if the text starts with `name=`.
pub(super) fn parameter(text: &[u8]) -> Option<usize> {
    let end = text.iter().position(|byte| matches!(byte, b'=' | b'?' | b'&' | b';' | b'#' | b':' | b'@' | b'/'))?;
    (end > 0 && text[end] == b'=').then_some(end)
}

/// Returns a name without its percent-encoding.
pub(super) fn decoded(name: &[u8]) -> Cow<'_, str> {
    if !name.contains(&b'%') {
        return String::from_utf8_lossy(name);
    }
    let (mut plain, mut rest) = (Vec::with_capacity(name.len()), name);
    while let [byte, behind @ ..] = rest {
        let digit = |index: usize| behind.get(index).and_then(|byte| char::from(*byte).to_digit(16));
        rest = behind;
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                rest = &behind[2..];
            }
            _ => plain.push(*byte),
        }
    }
    String::from_utf8_lossy(&plain).into_owned().into()
}

/// Returns where the scheme in front of an authority stands, with a prefix such as `jdbc:`.
pub(super) fn scheme(text: &[u8], authority: usize) -> Range<usize> {
    let mut end = authority;
    while end > 0 && matches!(text[end - 1], b'/' | b'\\' | b':') {
        end -= 1;
    }
    let length = text[..end].iter().rev().take(32).take_while(|byte| in_scheme(byte)).count();
    end - length..end
}

pub(super) fn in_scheme(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b':')
}

/// Returns whether a text starts with a scheme and `://`.
pub(super) fn starts_url(text: &[u8]) -> bool {
    let length = text.iter().take(32).take_while(|byte| in_scheme(byte)).count();
    length > 1 && text[length - 1] == b':' && text[length..].starts_with(b"//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_alone_are_not_urls() {
        for (length, before) in (0..70).map(|length| (length, "x".repeat(length))) {
            assert!(may_hold_url(format!("{before}a://b@").as_bytes()), "{length}");
            assert!(may_hold_url(format!("{before}://bcdefghi:").as_bytes()), "{length}");
            assert!(may_hold_url(format!("{before}:\\/\\/bcdefghi: and no slash more").as_bytes()), "{length}");
            assert!(!may_hold_url(format!("{before}a:/b:c; 06:06:42").as_bytes()), "{length}");
            assert!(!may_hold_url(format!("{before}//").as_bytes()), "{length}");
        }
    }
}
