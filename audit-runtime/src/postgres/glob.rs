//! Globs of event types and origins, as PostgreSQL matches them.

/// Returns a glob, in which `*` stands for any text, as LIKE has it.
pub(crate) fn like(glob: &str) -> String {
    let mut like = String::with_capacity(glob.len() + 4);
    for c in glob.chars() {
        match c {
            '*' => like.push('%'),
            '%' | '_' | '\\' => like.extend(['\\', c]),
            c => like.push(c),
        }
    }
    like
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_like_with_everything_else_escaped() {
        for (glob, expected) in [("order.*", "order.%"), ("*", "%"), ("a_b%\\*", "a\\_b\\%\\\\%"), ("ä*ö", "ä%ö")] {
            assert_eq!(like(glob), expected);
        }
    }
}
