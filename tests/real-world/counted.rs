//! The number of arguments behind each shape, and the most that one needs.

use std::path::Path;

/// A shape as its comment introduces it.
struct Shape {
    number: usize,
    stated: usize,
    written: usize,
}

/// Returns the shapes of a file: a comment `// 7. .. : 2.`, and the attribute behind it.
fn shapes(source: &str) -> Vec<Shape> {
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let comments = lines.iter().enumerate().filter_map(|(at, line)| {
        let comment = line.strip_prefix("//")?.trim_start_matches('/').trim_start();
        let (number, text) = comment.split_once(". ")?;
        let (_, stated) = text.strip_suffix('.')?.rsplit_once(": ")?;
        Some((at, number.parse().ok()?, stated.parse().ok()?))
    });
    let shape = |(at, number, stated): (usize, usize, usize)| {
        let rest = lines[at..].join("\n");
        let (_, attribute) = rest.split_once("#[audited(").unwrap();
        Shape { number, stated, written: arguments(attribute) }
    };
    comments.map(shape).collect()
}

/// Counts the arguments up to the parenthesis that ends them. No text in one has a parenthesis.
fn arguments(attribute: &str) -> usize {
    let (mut depth, mut count, mut has_begun) = (0_u32, 0, false);
    for letter in attribute.chars() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => has_begun = false,
            letter if letter.is_whitespace() => {}
            _ if !has_begun => {
                has_begun = true;
                count += 1;
            }
            _ => {}
        }
    }
    count
}

#[test]
fn each_shape_needs_at_most_two_arguments_beside_its_event() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("real-world");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut all: Vec<Shape> = sources.flat_map(|path| shapes(&std::fs::read_to_string(path).unwrap())).collect();
    all.sort_by_key(|shape| shape.number);
    assert_eq!(all.iter().map(|shape| shape.number).collect::<Vec<_>>(), (1..=74).collect::<Vec<_>>());
    for Shape { number, stated, written } in &all {
        assert_eq!(stated, written, "the comment of shape {number}");
        assert!(*written <= 3, "shape {number} needs {written} arguments");
    }
    let beside: usize = all.iter().map(|shape| shape.written - 1).sum();
    println!("{beside} arguments beside the events of {} shapes", all.len());
}
