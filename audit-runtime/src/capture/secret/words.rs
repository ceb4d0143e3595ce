//! Cuts names of any script into words, and makes their letters comparable.

/// Returns the words of a name in `snake_case`, `kebab-case`, `camelCase` or `PascalCase`, of any
/// script.
pub(crate) fn words(name: &str) -> impl Iterator<Item = &str> {
    let is_ascii = name.is_ascii();
    let mut rest = name;
    std::iter::from_fn(move || {
        let (start, end) = if is_ascii { first_ascii_word(rest.as_bytes()) } else { first_word(rest) };
        let word = &rest[start..end];
        rest = &rest[end..];
        (!word.is_empty()).then_some(word)
    })
}

/// Returns where the first word starts and ends.
fn first_word(text: &str) -> (usize, usize) {
    let word = text.trim_start_matches(|c| !is_letter(c));
    let (mut end, mut before) = (text.len() - word.len(), None);
    let start = end;
    let mut letters = word.chars().peekable();
    while let Some(letter) = letters.next_if(|letter| is_letter(*letter)) {
        if let Some(before) = before
            && letter.is_uppercase()
            && (!char::is_uppercase(before) || letters.peek().is_some_and(|behind| behind.is_lowercase()))
        {
            break;
        }
        before = Some(letter);
        end += letter.len_utf8();
    }
    (start, end)
}

/// Returns the same as [`first_word`], for the names that are asked for most.
#[inline]
fn first_ascii_word(text: &[u8]) -> (usize, usize) {
    let mut start = 0;
    while start < text.len() && !text[start].is_ascii_alphanumeric() {
        start += 1;
    }
    let mut end = start;
    while end < text.len() && text[end].is_ascii_alphanumeric() {
        if end > start
            && text[end].is_ascii_uppercase()
            && (!text[end - 1].is_ascii_uppercase() || text.get(end + 1).is_some_and(u8::is_ascii_lowercase))
        {
            break;
        }
        end += 1;
    }
    (start, end)
}

/// Tells whether a character belongs to a word. Marks do, for many scripts write vowels as marks.
#[inline]
fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    let is_latin_sign = matches!(c, '\u{80}'..='\u{a9}' | '\u{ab}' | '\u{ac}' | '\u{ae}'..='\u{b4}' | '\u{b6}'..='\u{b9}')
        || matches!(c, '\u{bb}'..='\u{bf}' | '\u{d7}' | '\u{f7}');
    let is_punctuation = matches!(c, '\u{2010}'..='\u{205f}' | '\u{3000}'..='\u{3004}' | '\u{3008}'..='\u{3020}')
        || matches!(c, '\u{30fb}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff5b}'..='\u{ff65}');
    let is_wide_sign = matches!(c, '\u{ff00}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}');
    !(is_latin_sign || is_punctuation || is_wide_sign || c.is_whitespace())
}

/// Returns a lower-case letter without its accent or width, or nothing for an invisible character.
pub(super) fn plain_letter(c: char) -> Option<char> {
    const ACCENTS: &[(char, &str)] = &[
        ('a', "àáâãäåāăąạảấầẩẫậắằẳẵặ"),
        ('c', "çćĉċč"),
        ('d', "ďđ"),
        ('e', "èéêëēĕėęěẹẻẽếềểễệ"),
        ('g', "ğģ"),
        ('i', "ìíîïĩīĭįıịỉ"),
        ('l', "ĺļľł"),
        ('n', "ñńņň"),
        ('o', "òóôõöøōŏőơọỏốồổỗộớờởỡợ"),
        ('r', "ŕřŗ"),
        ('s', "śşšșſ"),
        ('t', "ţťț"),
        ('u', "ùúûüũūŭůűųưụủứừửữự"),
        ('y', "ýÿỳỵỷỹ"),
        ('z', "źżž"),
        ('α', "ά"),
        ('ε', "έ"),
        ('η', "ή"),
        ('ι', "ί"),
        ('ο', "ό"),
        ('υ', "ύ"),
        ('ω', "ώ"),
    ];
    match c {
        c if c.is_ascii() => Some(c),
        '\u{300}'..='\u{36f}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => None,
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        '\u{df}'..='\u{24f}' | '\u{370}'..='\u{3ff}' | '\u{1e00}'..='\u{1eff}' => {
            Some(ACCENTS.iter().find(|(_, accented)| accented.contains(c)).map_or(c, |(plain, _)| *plain))
        }
        c => Some(c),
    }
}
