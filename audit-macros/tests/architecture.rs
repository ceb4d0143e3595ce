//! Imports between the files of `src` lead one way: no file imports one that imports it, however
//! indirectly. A parent imports its children, and no child imports its parent.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Collects the files of a folder by their module paths, as in `args::value`.
fn files(folder: &Path, parent: &str, found: &mut BTreeMap<String, PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let module = if parent.is_empty() { name.to_owned() } else { format!("{parent}::{name}") };
        if path.is_dir() {
            files(&path, &module, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && module != "lib" {
            found.insert(module, path);
        }
    }
}

/// Returns the paths behind a keyword, from the crate's root on. Each group is written out.
fn paths(code: &str, keyword: &str, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(keyword) {
        let is_part_of_a_word = code[..at].ends_with(|before: char| before.is_alphanumeric() || "_$".contains(before));
        let rest = &code[at + keyword.len()..];
        let path: String = rest.chars().take_while(|&next| next.is_alphanumeric() || "_:".contains(next)).collect();
        let group = rest[path.len()..].strip_prefix('{').and_then(|group| group.split_once('}'));
        let entries = group.map_or("", |(entries, _)| entries).split(',');
        if !is_part_of_a_word {
            found.extend(entries.map(|entry| format!("{root}{path}{}", entry.trim())));
        }
    }
    found
}

fn arrows() -> Arrows {
    let mut found = BTreeMap::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut found);
    let target = |path: &String| {
        let ends = path.match_indices("::").map(|(end, _)| end).chain([path.len()]);
        ends.map(|end| &path[..end]).filter(|prefix| found.contains_key(*prefix)).last().map(str::to_owned)
    };
    let arrows = found.iter().map(|(module, path)| {
        let source = fs::read_to_string(path).unwrap();
        let code = source.split("#[cfg(test)]\nmod ").next().unwrap();
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let (code, parent) = (code.join("\n"), module.rsplit_once("::").map(|(parent, _)| parent));
        let mut imports = paths(&code, "crate::", "");
        imports.extend(paths(&code, "super::", &parent.map_or_else(String::new, |parent| format!("{parent}::"))));
        imports.extend(paths(&code, "\nmod ", &format!("{module}::")));
        (module.clone(), imports.iter().filter_map(target).filter(|target| target != module).collect())
    });
    arrows.collect()
}

/// Returns a way from the last module of `way` to the first one.
fn cycle(arrows: &Arrows, way: &[String], passed: &mut BTreeSet<String>) -> Option<Vec<String>> {
    arrows[way.last()?].iter().find_map(|next| {
        let longer = [way, std::slice::from_ref(next)].concat();
        if *next == way[0] {
            return Some(longer);
        }
        passed.insert(next.clone()).then(|| cycle(arrows, &longer, passed)).flatten()
    })
}

#[test]
fn imports_lead_one_way() {
    let arrows = arrows();
    for (from, to) in [("expand", "plan"), ("expand", "expand::finish"), ("expand::finish", "expand::success")] {
        assert!(arrows[from].contains(to), "the import of {to} in {from} was not read");
    }
    for module in arrows.keys() {
        let cycle = cycle(&arrows, std::slice::from_ref(module), &mut BTreeSet::new());
        assert_eq!(cycle, None, "imports lead back to {module}");
    }
}

#[test]
fn leaves_import_no_other_file() {
    let arrows = arrows();
    for leaf in ["syntax", "diagnostics", "secret::words", "secret::vocabulary"] {
        assert!(arrows[leaf].is_empty(), "{leaf} imports {:?}", arrows[leaf]);
    }
}
