//! Holds the layers of `src`: imports follow the arrows of one table, and files of a folder do not
//! import each other in a circle.
//!
//! It reads the source as text: `use` declarations and paths that begin with `crate`, `super`,
//! `self` or an imported module. Modules for tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, as an event goes through them, and the arrows: what each may import. It may import,
/// too, what those may.
const LAYERS: &[(&str, &[&str])] = &[
    ("sys", &[]),
    ("event", &["sys"]),
    ("error", &["event"]),
    ("capture", &["event", "sys"]),
    ("record", &["error", "event", "capture"]),
    ("catalogue", &[]),
    ("journal", &["sys"]),
    ("recorder", &["record", "journal"]),
    ("context", &["recorder", "capture"]),
    ("call", &["catalogue", "context", "recorder"]),
    ("policy", &["recorder"]),
    ("clients", &["record"]),
    ("postgres", &["record"]),
    ("seal", &["record", "postgres::copy"]),
    ("privacy", &["capture", "postgres"]),
    (
        "writer",
        &[
            "journal",
            "record",
            "seal",
            "privacy",
            "postgres",
            "recorder::control",
            "recorder::counters",
            "recorder::health",
            "recorder::stats",
        ],
    ),
    ("relay", &["writer"]),
    ("trail", &["catalogue", "record", "postgres", "privacy"]),
    ("evidence", &["seal", "postgres"]),
    ("feed", &["seal", "trail", "postgres"]),
    ("retention", &["evidence", "feed", "privacy", "postgres"]),
    ("pack", &["journal", "record", "privacy"]),
    ("admin", &["journal", "pack", "evidence", "retention", "privacy", "postgres", "writer"]),
    ("audit", &["call", "writer", "pack", "trail", "evidence", "retention"]),
    ("testing", &["audit"]),
    ("fuzz", &["audit"]),
];

/// Imports against the arrows: the file, what it imports, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Files that import each other in a circle, and why.
const CIRCLES: &[(&[&str], &str)] = &[];

/// The layers that a feature brings. The others always exist. Files within them may need a further
/// one.
const FEATURES: &[(&str, &str)] = &[
    ("policy", "policy"),
    ("postgres", "postgres"),
    ("seal", "postgres"),
    ("privacy", "postgres"),
    ("writer", "postgres"),
    ("relay", "postgres"),
    ("feed", "postgres"),
    ("pack", "postgres"),
    ("evidence", "evidence"),
    ("retention", "evidence"),
];

/// Features that imply others.
const IMPLIED: &[(&str, &str)] = &[
    ("evidence", "postgres"),
    ("nats", "postgres"),
    ("personal", "postgres"),
    ("timestamp", "evidence"),
    ("timestamp", "postgres"),
];

#[test]
fn imports_follow_the_arrows() {
    let source = Source::read();
    let mut wrong = String::new();
    for import in &source.imports {
        let from = source.layer(&import.file);
        let to = import.path.join("::");
        let Some(target) = import.path.first() else { continue };
        // The crate's root may import anything: it names what is public.
        if from == "lib" || from == target {
            continue;
        }
        let is_excepted = EXCEPTIONS.iter().any(|(file, path, _)| *file == import.file && starts(&to, path));
        if !is_excepted && !allowed(from, &source.resolved(import)) {
            let _ = writeln!(
                wrong,
                "{}:{}: the arrow {from} -> {target} is not allowed (imports {to})",
                import.file, import.line
            );
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_file_belongs_to_a_layer() {
    let source = Source::read();
    for file in source.files.keys() {
        let layer = source.layer(file);
        assert!(layer == "lib" || LAYERS.iter().any(|(name, _)| *name == layer), "{file} belongs to no layer");
    }
}

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let source = Source::read();
    let circles = circles(&source.file_graph());
    let is_excepted = |circle: &[String]| CIRCLES.iter().any(|(files, _)| circle.iter().eq(files.iter()));
    let mut wrong = String::new();
    for circle in circles.iter().filter(|circle| !is_excepted(circle)) {
        let _ = writeln!(wrong, "{}", circle.join(", "));
        let mut lines = BTreeSet::new();
        for import in source.imports.iter().filter(|import| !import.is_reexport && circle.contains(&import.file)) {
            let target = source.file_of(&source.resolved(import));
            if target != import.file && circle.contains(&target) {
                lines.insert(format!("    {}:{} imports {target}", import.file, import.line));
            }
        }
        for line in lines {
            let _ = writeln!(wrong, "{line}");
        }
    }
    assert!(wrong.is_empty(), "files that import each other in a circle:\n{wrong}");
    for (files, _) in CIRCLES {
        assert!(
            circles.iter().any(|circle| circle.iter().eq(files.iter())),
            "{files:?} import each other no longer: remove the exception"
        );
    }
}

#[test]
fn layers_are_in_the_features_of_the_table() {
    let source = Source::read();
    for (layer, _) in LAYERS.iter().filter(|(layer, _)| source.modules.contains_key(*layer)) {
        let expected = FEATURES.iter().find(|(name, _)| name == layer).map(|(_, feature)| *feature);
        let found = source.features.get(*layer).map(String::as_str);
        // The functions that the fuzzer calls are compiled for it alone.
        assert!(found == expected || *layer == "fuzz", "{layer} is in the feature {found:?}, not {expected:?}");
    }
}

#[test]
fn imports_need_no_feature_that_may_be_off() {
    let source = Source::read();
    let mut wrong = String::new();
    for import in source.imports.iter().filter(|import| import.file != "lib.rs") {
        let target = source.file_of(&source.resolved(import));
        let Some(needed) = source.feature(&target) else { continue };
        let has = |feature: Option<&str>| {
            feature.is_some_and(|feature| feature == needed || IMPLIED.contains(&(feature, needed)))
        };
        if !has(source.feature(&import.file)) && !has(import.feature.as_deref()) {
            let _ = writeln!(wrong, "{}:{}: {target} needs the feature {needed}", import.file, import.line);
        }
    }
    for (file, text) in source.files.iter().filter(|(file, _)| *file != "lib.rs" && source.feature(file).is_none()) {
        for token in tokens(text).iter().filter(|token| token.text == "sqlx") {
            let _ = writeln!(wrong, "{file}:{}: sqlx needs the feature postgres", token.line);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_architecture_document_shows_the_same_arrows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    let text = fs::read_to_string(root).expect("ARCHITECTURE.md is there");
    for (layer, arrows) in LAYERS {
        let row = format!("{layer} -> {}", arrows.join(", "));
        let is_shown = text.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == row.trim());
        assert!(is_shown, "ARCHITECTURE.md lacks the line {row:?}");
    }
}

#[test]
fn the_source_is_read_as_the_compiler_reads_it() {
    let text = "
        //! use crate::comment;
        use crate::{a::{self, B}, c::D as E};
        #[cfg(test)]
        mod tests { use crate::tested; }
        pub(crate) use inner::F;
        const TEXT: &str = \"use crate::text;\";
        mod inline { use super::super::g; fn f() -> crate::h::I { E::new() } }
    ";
    let module = ["m".to_owned(), "n".to_owned()];
    let modules = BTreeSet::from(["m", "m::n", "m::n::inner"].map(String::from));
    let found = parse(text, &module, &modules).imports;
    let paths: Vec<String> = found.iter().map(|import| import.path.join("::")).collect();
    assert_eq!(paths, ["a", "a::B", "c::D", "m::n::inner::F", "m::g", "h::I", "c::D::new"]);
    assert_eq!(found.iter().filter(|import| import.is_reexport).count(), 1);
}

/// Returns whether a layer may import this.
fn allowed(from: &str, path: &[String]) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    let path = path.join("::");
    while let Some(layer) = open.pop() {
        let arrows = LAYERS.iter().find(|(name, _)| *name == layer).map_or(&[][..], |(_, arrows)| arrows);
        for arrow in arrows.iter().filter(|arrow| seen.insert(**arrow)) {
            if starts(&path, arrow) {
                return true;
            }
            open.push(arrow);
        }
    }
    false
}

/// Returns whether a path is this one or lies below it.
fn starts(path: &str, beginning: &str) -> bool {
    path.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// An import: a path from the crate's root.
struct Import {
    file: String,
    line: usize,
    path: Vec<String>,
    /// `pub use`: it hands a name on, and needs nothing itself.
    is_reexport: bool,
    /// The name that it brings.
    name: Option<String>,
    /// The feature without which it is not compiled.
    feature: Option<String>,
}

/// The source of the crate, without the command and without tests.
struct Source {
    /// Texts by their paths below `src`.
    files: BTreeMap<String, String>,
    /// Files by their modules.
    modules: BTreeMap<String, String>,
    imports: Vec<Import>,
    /// Names that modules hand on: the module and the name, and the path that it stands for.
    reexports: BTreeMap<(String, String), Vec<String>>,
    /// The features without which modules are not compiled, by their own attributes.
    features: BTreeMap<String, String>,
}

impl Source {
    fn read() -> Self {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = BTreeMap::new();
        let mut open = vec![src.clone()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).expect("a folder of the source") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    open.extend(Some(path).filter(|path| !path.ends_with("src/bin")));
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    let name = path.strip_prefix(&src).expect("below src").to_string_lossy().replace('\\', "/");
                    files.insert(name, fs::read_to_string(&path).expect("a file of the source"));
                }
            }
        }
        let mut source = Self {
            files,
            modules: BTreeMap::new(),
            imports: Vec::new(),
            reexports: BTreeMap::new(),
            features: BTreeMap::new(),
        };
        source.modules = source.files.keys().map(|file| (module_of(file).join("::"), file.clone())).collect();
        let modules: BTreeSet<String> = source.modules.keys().cloned().collect();
        let mut tests = BTreeSet::new();
        for (file, text) in &source.files {
            let parsed = parse(text, &module_of(file), &modules);
            let folder = PathBuf::from(file).parent().map(Path::to_owned).unwrap_or_default();
            for test in parsed.test_files {
                tests.insert(folder.join(test).to_string_lossy().replace('\\', "/"));
            }
            for test in parsed.test_modules {
                tests.extend(source.modules.get(&test.join("::")).cloned());
            }
            source.features.extend(parsed.features);
            for mut import in parsed.imports {
                import.file.clone_from(file);
                if let Some(name) = import.name.clone().filter(|_| import.is_reexport) {
                    let name = (module_of(file).join("::"), name);
                    // Of two by the same name, the one that needs no feature.
                    match import.feature {
                        None => drop(source.reexports.insert(name, import.path.clone())),
                        Some(_) => drop(source.reexports.entry(name).or_insert(import.path.clone())),
                    }
                }
                source.imports.push(import);
            }
        }
        source.files.retain(|file, _| !tests.contains(file));
        source.imports.retain(|import| !tests.contains(&import.file));
        source
    }

    /// The layer of a file: its folder, or its own name.
    fn layer<'a>(&self, file: &'a str) -> &'a str {
        let first = file.split('/').next().unwrap_or(file);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Follows the names that modules hand on, and returns the path of the item itself.
    fn resolved(&self, import: &Import) -> Vec<String> {
        let mut path = import.path.clone();
        'follow: for _ in 0..10 {
            for length in 0..path.len() {
                let module = path[..length].join("::");
                let next = path[..=length].join("::");
                if self.modules.contains_key(&next) {
                    continue;
                }
                let Some(target) = self.reexports.get(&(module, path[length].clone())) else { break };
                path = target.iter().chain(&path[length + 1..]).cloned().collect();
                continue 'follow;
            }
            break;
        }
        path
    }

    /// Returns the file that holds the item of a resolved path.
    fn file_of(&self, path: &[String]) -> String {
        let known = (0..=path.len()).rev().find_map(|length| self.modules.get(&path[..length].join("::")));
        known.cloned().unwrap_or_else(|| "lib.rs".into())
    }

    /// Returns the feature without which a file is not compiled.
    fn feature(&self, file: &str) -> Option<&str> {
        let module = module_of(file);
        let features = (1..=module.len()).rev().filter_map(|length| self.features.get(&module[..length].join("::")));
        features.map(String::as_str).next()
    }

    fn file_graph(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for import in self.imports.iter().filter(|import| !import.is_reexport && import.file != "lib.rs") {
            let target = self.file_of(&self.resolved(import));
            if target != import.file && target != "lib.rs" {
                graph.entry(import.file.clone()).or_default().insert(target);
            }
        }
        graph
    }
}

/// The module that a file is.
fn module_of(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { Vec::new() } else { path.split('/').map(String::from).collect() }
}

/// Returns the sets of files each of which reaches all others. (Tarjan's algorithm would be faster,
/// but there are only 250 files.)
fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached = |from: &String| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            open.extend(graph.get(file).into_iter().flatten().filter(|next| seen.insert((*next).clone())));
        }
        seen
    };
    let reach: BTreeMap<&String, BTreeSet<String>> = graph.keys().map(|file| (file, reached(file))).collect();
    let mut circles = BTreeSet::new();
    for (file, others) in &reach {
        if others.contains(*file) {
            let circle = others.iter().filter(|other| reach.get(other).is_some_and(|back| back.contains(*file)));
            circles.insert(circle.cloned().collect::<Vec<_>>());
        }
    }
    circles.into_iter().collect()
}

#[derive(Debug, Clone, PartialEq)]
struct Token {
    /// A name, one character, or `::`, or a text with its quotation mark before it.
    text: String,
    line: usize,
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The tokens of a source text, without comments.
fn tokens(text: &str) -> Vec<Token> {
    let characters: Vec<char> = text.chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    let (mut tokens, mut index, mut line) = (Vec::new(), 0, 1);
    while index < characters.len() {
        let begin = index;
        match (at(index), at(index + 1)) {
            ('/', '/') => index += characters[index..].iter().take_while(|character| **character != '\n').count(),
            ('/', '*') => {
                let mut depth = 0;
                loop {
                    match (at(index), at(index + 1)) {
                        ('/', '*') => (depth, index) = (depth + 1, index + 2),
                        ('*', '/') => (depth, index) = (depth - 1, index + 2),
                        _ => index += 1,
                    }
                    if depth == 0 || index >= characters.len() {
                        break;
                    }
                }
            }
            ('r', '"' | '#') if is_raw_text(&characters[index + 1..]) => {
                let hashes = characters[index + 1..].iter().take_while(|character| **character == '#').count();
                let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                index += hashes + 2;
                while index < characters.len() && !characters[index..].iter().take(hashes + 1).copied().eq(end.chars())
                {
                    index += 1;
                }
                index += hashes + 1;
            }
            ('"', _) => {
                index += 1;
                while index < characters.len() && at(index) != '"' {
                    index += if at(index) == '\\' { 2 } else { 1 };
                }
                tokens.push(Token { text: characters[begin..index.min(characters.len())].iter().collect(), line });
                index += 1;
            }
            ('\'', '\\') => {
                index += 3;
                while index < characters.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            }
            ('\'', _) if at(index + 2) == '\'' => index += 3,
            (':', ':') => {
                tokens.push(Token { text: "::".into(), line });
                index += 2;
            }
            (first, _) if is_name(first) => {
                index += characters[index..].iter().take_while(|character| is_name(**character)).count();
                tokens.push(Token { text: characters[begin..index].iter().collect(), line });
            }
            (first, _) => {
                if !first.is_whitespace() {
                    tokens.push(Token { text: first.into(), line });
                }
                index += 1;
            }
        }
        line += characters[begin..index.min(characters.len())].iter().filter(|character| **character == '\n').count();
    }
    tokens
}

fn is_raw_text(behind: &[char]) -> bool {
    behind.iter().find(|character| **character != '#') == Some(&'"')
}

#[derive(Default)]
struct Parsed {
    imports: Vec<Import>,
    /// Modules for tests, and files that are named as such.
    test_modules: Vec<Vec<String>>,
    test_files: Vec<String>,
    /// Modules and the features without which they are not compiled.
    features: Vec<(String, String)>,
}

/// Reads the imports of a file that is this module.
fn parse(text: &str, module: &[String], modules: &BTreeSet<String>) -> Parsed {
    let tokens = tokens(text);
    let word = |index: usize| tokens.get(index).map_or("", |token| &*token.text);
    let mut parsed = Parsed::default();
    // Inline modules, and the depth at which each ends.
    let (mut inline, mut depth): (Vec<(String, usize)>, usize) = (Vec::new(), 0);
    let mut aliases: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // The features without which imported names are not there.
    let mut gates: BTreeMap<String, String> = BTreeMap::new();
    let (mut is_test, mut file_name, mut feature) = (false, None, None);
    let mut index = 0;
    while index < tokens.len() {
        let here: Vec<String> = module.iter().cloned().chain(inline.iter().map(|(name, _)| name.clone())).collect();
        let (line, known) = (tokens[index].line, parsed.imports.len());
        match word(index) {
            "#" if word(index + 1) == "[" => {
                let end = matching(&tokens, index + 1);
                let names: Vec<&str> = (index..end).map(word).collect();
                let is_not = names.windows(3).any(|window| window == ["not", "(", "test"]);
                is_test |= names.contains(&"cfg") && names.contains(&"test") && !is_not;
                if names.contains(&"path") {
                    file_name = names.iter().find_map(|name| name.strip_prefix('"')).map(String::from);
                }
                if let ["#", "[", "cfg", "(", "feature", "=", name, ")", ..] = *names {
                    feature = Some(name.trim_start_matches('"').to_owned());
                }
                index = end + 1;
                continue;
            }
            "pub" => {
                index += 1;
                if word(index) == "(" {
                    index = matching(&tokens, index) + 1;
                }
                if word(index) == "use" {
                    index = read_use(&tokens, index, &here, modules, true, &mut parsed.imports, &mut aliases);
                }
                if word(index) == "mod" {
                    continue;
                }
            }
            "use" if word(index + 1) != "<" => {
                index = read_use(&tokens, index, &here, modules, false, &mut parsed.imports, &mut aliases);
            }
            "mod" if word(index + 2) == ";" => {
                if is_test {
                    match file_name.take() {
                        Some(file) => parsed.test_files.push(file),
                        None => parsed.test_modules.push([&here[..], &[word(index + 1).to_owned()]].concat()),
                    }
                }
                let name = [&here[..], &[word(index + 1).to_owned()]].concat().join("::");
                parsed.features.extend(feature.take().map(|feature| (name, feature)));
                index += 2;
            }
            "mod" if word(index + 2) == "{" => {
                if is_test {
                    index = matching(&tokens, index + 2);
                } else {
                    inline.push((word(index + 1).to_owned(), depth));
                    depth += 1;
                    index += 3;
                }
                is_test = false;
                continue;
            }
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inline.pop_if(|(_, end)| *end == depth);
            }
            first if word(index + 1) == "::" && (index == 0 || word(index - 1) != "::") => {
                let mut path = vec![first.to_owned()];
                while word(index + 1) == "::" && word(index + 2).starts_with(is_name) {
                    path.push(word(index + 2).to_owned());
                    index += 2;
                }
                let gate = gates.get(&path[0]).cloned();
                let absolute = match aliases.get(&path[0]) {
                    Some(target) => Some(target.iter().chain(&path[1..]).cloned().collect()),
                    None => absolute(&path, &here, modules),
                };
                let import = |path| Import {
                    file: String::new(),
                    line,
                    path,
                    is_reexport: false,
                    name: None,
                    feature: gate.clone(),
                };
                parsed.imports.extend(absolute.map(import));
            }
            _ => {}
        }
        for import in &mut parsed.imports[known..] {
            if feature.is_some() {
                import.feature.clone_from(&feature);
            }
            gates.extend(import.name.clone().zip(import.feature.clone()));
        }
        (is_test, file_name, feature) = (false, None, None);
        index += 1;
    }
    parsed
}

/// The index of the bracket that closes this one.
fn matching(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match &*token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len()
}

/// Reads a `use` declaration, and returns the index of its semicolon.
fn read_use(
    tokens: &[Token],
    index: usize,
    here: &[String],
    modules: &BTreeSet<String>,
    is_reexport: bool,
    imports: &mut Vec<Import>,
    aliases: &mut BTreeMap<String, Vec<String>>,
) -> usize {
    let end = (index..tokens.len()).find(|at| tokens[*at].text == ";").unwrap_or(tokens.len());
    let mut paths = Vec::new();
    expand(&tokens[index + 1..end], &[], &mut paths);
    for (path, name) in paths {
        let Some(path) = absolute(&path, here, modules) else { continue };
        if let Some(name) = &name {
            aliases.insert(name.clone(), path.clone());
        }
        imports.push(Import { file: String::new(), line: tokens[index].line, path, is_reexport, name, feature: None });
    }
    end
}

/// The paths of a tree of imports, each with the name that it brings.
fn expand(tree: &[Token], before: &[String], paths: &mut Vec<(Vec<String>, Option<String>)>) {
    let (mut path, mut index) = (before.to_vec(), 0);
    let mut name = before.last().cloned();
    while let Some(token) = tree.get(index) {
        match &*token.text {
            "::" => {}
            "{" => {
                let end = matching(tree, index);
                let mut begin = index + 1;
                while begin < end {
                    let mut at = begin;
                    while at < end && tree[at].text != "," {
                        at = if tree[at].text == "{" { matching(tree, at) + 1 } else { at + 1 };
                    }
                    if at > begin {
                        expand(&tree[begin..at], &path, paths);
                    }
                    begin = at + 1;
                }
                return;
            }
            "*" => name = None,
            "as" => {
                name = tree.get(index + 1).map(|token| token.text.clone()).filter(|name| name != "_");
                index += 1;
            }
            "self" if !path.is_empty() => {}
            text => {
                path.push(text.to_owned());
                name = Some(text.to_owned());
            }
        }
        index += 1;
    }
    paths.push((path, name));
}

/// A path from the crate's root, or `None` if it begins with another crate or a name other than a
/// module's.
fn absolute(path: &[String], here: &[String], modules: &BTreeSet<String>) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|part| *part == "super").count();
    let (base, rest) = match &*path[0] {
        "crate" => (&here[..0], &path[1..]),
        "self" => (here, &path[1..]),
        "super" => (&here[..here.len().checked_sub(supers)?], &path[supers..]),
        first if modules.contains(&[here, &[first.to_owned()]].concat().join("::")) => (here, path),
        _ => return None,
    };
    Some([base, rest].concat())
}
