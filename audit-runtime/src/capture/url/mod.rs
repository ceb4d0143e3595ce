//! Secrets inside URLs: the user-info, and parameters whose names denote secrets.
//!
//! People write passwords without percent-encoding, so the standard's grammar would cut some in
//! half. The rules here take more for a password where a URL has two readings, unless the longer
//! one is implausible.

mod grammar;

pub(crate) use grammar::may_hold_url;

use crate::capture::mask::REDACTED;
use crate::capture::secret::says_secret;
use grammar::{Host, authority_of, decoded, is_continued, parameter, scheme, separator, starts_url};
use std::borrow::Cow;
use std::ops::Range;

/// Schemes with paths in which people write `@`. Others, for databases and brokers, hardly have
/// such paths.
const WITH_PATHS: &[&str] = &[
    "http", "https", "ws", "wss", "ftp", "ftps", "sftp", "ssh", "git", "svn", "file", "s3", "gs", "docker", "oci",
    "app",
];

/// Greatest distance at which an `@` turns what looks like a port into the head of a password.
const NEAR: usize = 128;

/// Masks the user-info of each URL in a text, and the values of parameters whose names denote
/// secrets.
pub(crate) fn mask_urls(text: &str) -> Cow<'_, str> {
    let (mut masked, mut copied, mut from) = (String::new(), 0, 0);
    let mut cuts = Vec::new();
    while let Some(authority) = separator(text.as_bytes(), from) {
        let run = Run::new(text, authority);
        run.user_infos(authority, &mut cuts);
        run.parameters(authority, &mut cuts);
        for cut in cuts.drain(..) {
            masked.push_str(&text[copied..cut.start]);
            masked.push_str(REDACTED);
            copied = cut.end;
        }
        from = run.end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    masked.push_str(&text[copied..]);
    Cow::Owned(masked)
}

/// A stretch of text without a gap that holds at least one URL. A URL may stand in a parameter of
/// another.
struct Run<'a> {
    bytes: &'a [u8],
    end: usize,
    /// Where the last `@` stands. Searches that cannot succeed end at once, so that all take linear
    /// time.
    last_at: Option<usize>,
    has_paths: bool,
}

impl<'a> Run<'a> {
    /// Finds the end of the URL: a gap, a quotation mark, or a comma in front of another URL.
    fn new(text: &'a str, authority: usize) -> Self {
        let bytes = text.as_bytes();
        let scheme = scheme(bytes, authority);
        let is_quoted = scheme.start > 0 && bytes[scheme.start - 1] == b'\'';
        let ends = |index: usize| match bytes[index] {
            b'"' | b'<' | b'>' | b'`' | ..=b' ' | 0x7f => true,
            b'\'' => match bytes.get(index + 1) {
                Some(next) if is_quoted => next.is_ascii() && !next.is_ascii_alphanumeric(),
                next => matches!(next, None | Some(b',' | b')' | b']' | b'}' | b' ')),
            },
            b',' | b';' | b'|' => starts_url(&bytes[index + 1..]),
            0xc0.. => text[index..].starts_with(|c: char| c.is_whitespace() || c.is_control() || "“”„«»‘’".contains(c)),
            _ => false,
        };
        let end = (authority..bytes.len()).find(|index| ends(*index)).unwrap_or(bytes.len());
        let last_at = bytes[authority..end].iter().rposition(|byte| *byte == b'@').map(|index| authority + index);
        let name = bytes[scheme].rsplit(|byte| matches!(byte, b':' | b'+')).next().unwrap_or_default();
        let has_paths = WITH_PATHS.iter().any(|scheme| name.eq_ignore_ascii_case(scheme.as_bytes()));
        Self { bytes: &bytes[..end], end, last_at, has_paths }
    }

    /// Collects the user-infos of the URL and of those within it.
    fn user_infos(&self, authority: usize, cuts: &mut Vec<Range<usize>>) {
        let mut next = Some(authority);
        while let Some(start) = next {
            let mut from = start;
            if let Some(at) = self.user_info(start) {
                if at > start && self.bytes[start..at] != *REDACTED.as_bytes() {
                    cuts.push(start..at);
                }
                from = at;
            }
            next = separator(self.bytes, from);
        }
    }

    /// Returns where the `@` behind the user-info stands, if the URL has any.
    fn user_info(&self, start: usize) -> Option<usize> {
        let last_at = self.last_at.filter(|at| *at >= start)?;
        if self.bytes[start..].starts_with(REDACTED.as_bytes()) && self.bytes.get(start + REDACTED.len()) == Some(&b'@')
        {
            return Some(start + REDACTED.len());
        }
        let stop = self.delimiter(start);
        let authority = &self.bytes[start..stop];
        let mut at = match authority.iter().rposition(|byte| *byte == b'@') {
            Some(at) => start + at,
            None if last_at < stop => return None,
            None => self.torn(authority, stop)?,
        };
        if !self.bytes[start..at].contains(&b':') {
            return Some(at);
        }
        while at < last_at {
            let Some(gap) = self.bytes[at + 1..].iter().position(|byte| *byte == b'@') else { break };
            let (gap, behind) = self.bytes[at + 1..].split_at(gap);
            if !self.is_password(gap, behind) {
                break;
            }
            at = self.last_of_authority(at + 1 + gap.len());
        }
        Some(at)
    }

    /// Returns the `@` behind a password that a delimiter tears in two: `u:p/w@host`.
    fn torn(&self, authority: &[u8], stop: usize) -> Option<usize> {
        let host = Host::of(authority);
        let reach = match host {
            Host::No => self.end,
            Host::Port if !self.has_paths => self.end.min(stop + NEAR),
            _ => return None,
        };
        let gap = self.bytes[stop..reach].iter().position(|byte| *byte == b'@')?;
        let (gap, behind) = self.bytes[stop..].split_at(gap);
        let is_plausible = host == Host::No || !is_continued(gap) && Host::of(authority_of(&behind[1..])) != Host::No;
        is_plausible.then(|| self.last_of_authority(stop + gap.len()))
    }

    /// Returns whether the password goes on behind an `@`, up to the next one.
    fn is_password(&self, gap: &[u8], behind: &[u8]) -> bool {
        let host = authority_of(&behind[1..]);
        if is_continued(gap) || host.is_empty() || Host::of(host) == Host::No {
            return false;
        }
        !self.has_paths || !gap.ends_with(b"/") && Host::of(authority_of(gap)) == Host::Word
    }

    /// Returns the last `@` in front of the next delimiter, given one.
    fn last_of_authority(&self, at: usize) -> usize {
        let stop = self.delimiter(at);
        self.bytes[at..stop].iter().rposition(|byte| *byte == b'@').map_or(at, |index| at + index)
    }

    fn delimiter(&self, from: usize) -> usize {
        from + authority_of(&self.bytes[from..]).len()
    }

    /// Collects the values of parameters whose names denote secrets, given the user-infos.
    fn parameters(&self, authority: usize, cuts: &mut Vec<Range<usize>>) {
        let mut user_infos = std::mem::take(cuts).into_iter().peekable();
        let mut from = authority;
        while let Some(byte) = self.bytes.get(from) {
            if let Some(cut) = user_infos.next_if(|cut| cut.start <= from) {
                from = cut.end.max(from);
                cuts.push(cut);
                continue;
            }
            from += 1;
            if !matches!(byte, b'?' | b'&' | b';' | b'#') {
                continue;
            }
            let Some(name) = parameter(&self.bytes[from..]) else { continue };
            let value = from + name + 1;
            if !says_secret(&decoded(&self.bytes[from..from + name])) {
                from = value;
                continue;
            }
            let is_property = *byte == b';' && !self.has_paths;
            let mut end = value;
            while end < self.end {
                if let Some(cut) = user_infos.next_if(|cut| cut.start <= end) {
                    end = cut.end.max(end);
                } else if self.ends_value(end, is_property) {
                    break;
                } else {
                    end += 1;
                }
            }
            from = end;
            let end = if end == self.end { value + self.without_punctuation(value).len() } else { end };
            if end > value && self.bytes[value..end] != *REDACTED.as_bytes() {
                cuts.push(value..end);
            }
        }
    }

    /// Returns whether a value ends. A `#` or `?` in a password of a database's URL is part of it.
    fn ends_value(&self, at: usize, is_property: bool) -> bool {
        match self.bytes[at] {
            b'&' => !is_property,
            b'#' => self.has_paths,
            b';' | b'?' => parameter(&self.bytes[at + 1..]).is_some(),
            _ => false,
        }
    }

    /// Returns the text from a place on, without the punctuation of the sentence that the URL ends.
    fn without_punctuation(&self, from: usize) -> &[u8] {
        let mut value = &self.bytes[from..];
        while let [before @ .., b'.' | b',' | b';' | b':' | b')' | b']' | b'}' | b'\'' | b'\\'] = value
            && value != REDACTED.as_bytes()
        {
            value = before;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(text: &str, expected: &str) {
        let masked = mask_urls(text);
        assert_eq!(masked, expected);
        assert_eq!(mask_urls(&masked), masked, "again");
        assert_eq!(matches!(masked, Cow::Borrowed(_)), text == expected, "{text}");
        assert!(may_hold_url(text.as_bytes()) || text == expected, "{text}");
    }

    #[test]
    fn user_infos_are_masked() {
        for url in [
            "postgres://u:PW@host/db",
            "https://token@host",
            "amqp+tls://u:p%40ss@host/v",
            "mongodb+srv://u:p@host",
            "redis://:pw@host:6379/0",
            "jdbc:postgresql://u:p@host/db",
            "http://u:p@host?x=1",
            "postgres://u:p@ss@host/db",
            "postgres://u:p/w@host/db",
            "postgres://u:p@ss/w@host/db",
            "postgres://u:p?w@host/db",
            "postgres://u:p#w@host/db",
            "postgres://u:p:w@host/db",
            "postgres://u:1/2@host:5432/db",
            "https://u:p/w@host/x",
            "https://u:p@s/w@host:80",
            "postgres://u:pä'ß@host",
            "redis://:1/2@host",
            "postgres://u:p?x=1@host",
            "postgres://u:p&w;x=1@host",
        ] {
            let (scheme, rest) = url.split_once("://").unwrap();
            let host = &rest[rest.rfind("@host").unwrap()..];
            is(url, &format!("{scheme}://[redacted]{host}"));
            is(&format!("no \"{url}\", ('{url}'): <{url}>"), &{
                let url = format!("{scheme}://[redacted]{host}");
                format!("no \"{url}\", ('{url}'): <{url}>")
            });
        }
        is("mongodb://u:p@a:1,b:2,c/db", "mongodb://[redacted]@a:1,b:2,c/db");
        is("http://u:p@[::1]:80/x", "http://[redacted]@[::1]:80/x");
        is("http://a:9200,http://u:p@b:9200", "http://a:9200,http://[redacted]@b:9200");
        is(r#"{"url":"x:\/\/u:p@h\/db"}"#, r#"{"url":"x:\/\/[redacted]@h\/db"}"#);
        is("https://proxy/https://u:p@h/", "https://proxy/https://[redacted]@h/");
        is("a ftp://u@h b s3://k:s/t@h c", "a ftp://[redacted]@h b s3://[redacted]@h c");
    }

    #[test]
    fn an_at_sign_behind_the_host_stays() {
        for text in [
            "https://medium.com/@user/post",
            "https://host/path?email=a@b.c",
            "https://host?email=a@b.c",
            "http://localhost:8080/@user",
            "http://app:8080/users/bob@example.com",
            "postgres://db:5432/app?email=a@b.c",
            "https://[::1]:8080/x@y",
            "https://matrix.to/#/@user:server",
            "s3://bucket/image@2x.png",
            "docker://registry:5000/image@sha256:abc",
            "https://host/x, mail bob@host",
            "file:///home/a@b",
            "{\"url\":\"redis://h\",\"mail\":\"a@b\"}",
            "at 06:06:42 // a@b",
            "user:pw@host",
            "http://@host",
            "https://a.b/x?time=06:06&y=a@b",
            "://",
            "",
        ] {
            is(text, text);
        }
        is("https://u:p@host/@user/post", "https://[redacted]@host/@user/post");
        is("https://u:p@b.com/x@y?a=c@d.e", "https://[redacted]@b.com/x@y?a=c@d.e");
        is("mongodb://u:p@a.b:10255/?ssl=true&appName=@u@", "mongodb://[redacted]@a.b:10255/?ssl=true&appName=@u@");
    }

    #[test]
    fn parameters_that_say_secret_are_masked() {
        is("https://h/p?token=abc&x=1", "https://h/p?token=[redacted]&x=1");
        is("https://h/p?x=1;token=a=b==;y=2", "https://h/p?x=1;token=[redacted];y=2");
        is("https://h/#access_token=abc&x=1", "https://h/#access_token=[redacted]&x=1");
        is("https://h/#/route?apiKey=abc#top", "https://h/#/route?apiKey=[redacted]#top");
        is("https://h/p;jsessionid=A1?x=1", "https://h/p;jsessionid=[redacted]?x=1");
        is("https://h?user%5Bpassword%5D=a&max_tokens=1", "https://h?user%5Bpassword%5D=[redacted]&max_tokens=1");
        is("(see https://h/?token=abc), then", "(see https://h/?token=[redacted]), then");
        is("postgres://h/d?user=u&password=p#w?x@y", "postgres://h/d?user=u&password=[redacted]");
        is(
            "jdbc:sqlserver://h:1433;user=sa;password=p@s&s;x=1",
            "jdbc:sqlserver://h:1433;user=sa;password=[redacted];x=1",
        );
        is(
            "https://u:p@h?next=https://v@i?token=x&y=1",
            "https://[redacted]@h?next=https://[redacted]@i?token=[redacted]&y=1",
        );
        is("https://h?token=https://u:p@i/&y=1", "https://h?token=[redacted]&y=1");
        is("https://h?password=ä’ x", "https://h?password=[redacted]’ x");
        for text in
            ["https://h/token=a?x=token", "https://h?token=&x", "/cb?token=a", "https://h?token_count=3", "x?pin=1"]
        {
            is(text, text);
        }
    }

    #[test]
    fn any_text_is_masked_once_and_for_all() {
        const PARTS: &[&str] = &[
            "://",
            "a",
            "http://",
            "x:p",
            "@",
            ":",
            "/",
            "?",
            "#",
            ";",
            "&",
            "=",
            "token=",
            "[redacted]",
            "'",
            "\"",
            ",",
            ")",
            "ä",
            "5",
            ".",
            " ",
            "redis://",
            "%4",
            "[",
            "]",
            "\\",
            "|",
            "localhost",
            "pin",
            ";a=",
        ];
        let mut seed = 1_u64;
        for round in 0..20_000 {
            let mut text = String::new();
            for _ in 0..round % 40 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text += PARTS[(seed >> 33) as usize % PARTS.len()];
            }
            let masked = mask_urls(&text);
            assert_eq!(mask_urls(&masked), masked, "{text}");
        }
    }

    #[test]
    fn long_texts_take_linear_time() {
        for part in [
            "a://b:c/",
            "a://b@c/",
            "a://b:1/",
            "x?token=",
            "a://b:1/?",
            "@",
            "a://u:p@b?",
            "a://,",
            ";a",
            "a://b:1@c/x@d",
        ] {
            let started = std::time::Instant::now();
            for text in [part.repeat(20_000), "a://b:c".to_owned() + &part.repeat(20_000), part.repeat(20_000) + "@"] {
                let _ = mask_urls(&text);
            }
            assert!(started.elapsed().as_secs() < 10, "{part}");
        }
    }
}
