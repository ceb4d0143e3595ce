//! The options of every subcommand, shown where they have an effect.

use clap::Arg;

/// The page is a feature.
const SERVE: usize = if cfg!(feature = "serve") { 1 } else { 0 };
/// The lake is one, too.
const LAKE: usize = if cfg!(feature = "lake") { 1 } else { 0 };

/// Options that have no effect on a subcommand, or on all of a group, and are hidden there.
const HIDDEN: [(&[&str], &[&str]); 28 + SERVE + LAKE] = [
    #[cfg(feature = "serve")]
    (&["serve"], &["output", "wide", "raw"]),
    #[cfg(feature = "lake")]
    (&["lake"], &["master_key", "output", "wide", "raw"]),
    (&["migrate"], &["master_key", "output", "wide", "raw"]),
    (&["catalogue"], &["master_key", "output"]),
    (&["status"], &["master_key", "wide", "raw"]),
    (&["doctor"], &["wide", "raw"]),
    (&["export"], &["output", "wide"]),
    (&["checkpoint"], &["master_key", "output", "wide", "raw"]),
    (&["verify"], &["master_key", "wide", "raw"]),
    (&["proof"], &["master_key", "wide", "raw"]),
    (&["partitions"], &["master_key", "output", "wide", "raw"]),
    (&["prune"], &["master_key", "output", "wide", "raw"]),
    (&["retain"], &["master_key", "output", "wide", "raw"]),
    (&["restore"], &["master_key", "output", "wide", "raw"]),
    (&["hold"], &["master_key", "wide", "raw"]),
    (&["hold", "add"], &["output"]),
    (&["hold", "lift"], &["output"]),
    (&["forget"], &["master_key", "output", "wide", "raw"]),
    (&["master-key"], &["output", "wide", "raw"]),
    (&["master-key", "rotate"], &["output", "wide", "raw"]),
    (&["master-key", "check"], &["output", "wide", "raw"]),
    (&["journal"], &["wide", "raw"]),
    (&["journal", "status"], &["master_key"]),
    (&["journal", "ship"], &["output"]),
    (&["relay"], &["master_key", "output", "wide", "raw"]),
    (&["quarantine"], &["master_key", "wide", "raw"]),
    (&["quarantine", "retry"], &["output"]),
    (&["policy"], &["master_key", "output", "wide", "raw"]),
    (&["completions"], &["database_url", "master_key", "output", "wide", "raw"]),
    (&["man"], &["database_url", "master_key", "output", "wide", "raw"]),
];

/// Subcommands that print text, and JSON on request.
const JSON: [&[&str]; 7] = [
    &["status"],
    &["doctor"],
    &["verify"],
    &["proof"],
    &["journal", "status"],
    &["quarantine", "list"],
    &["hold", "list"],
];

/// Puts the options of every subcommand below a heading of their own, and shows them where they
/// have an effect.
pub(crate) fn arranged(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| arg.help_heading("Global options"));
    let globals: Vec<Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    let named = |names: &[&str]| -> Vec<Arg> {
        globals.iter().filter(|arg| names.contains(&arg.get_id().as_str())).cloned().collect()
    };
    let command = HIDDEN.iter().fold(command, |command, (path, names)| {
        replace(command, path, named(names).into_iter().map(|arg| arg.hide(true)).collect())
    });
    let help = "Prints json or ndjson instead of text";
    JSON.iter().fold(command, |command, path| {
        let output = named(&["output"]).into_iter();
        replace(command, path, output.map(|arg| arg.help(help).long_help(None).hide_possible_values(true)).collect())
    })
}

/// A subcommand's own arguments take the place of those that it would inherit.
fn replace(command: clap::Command, path: &[&'static str], own: Vec<Arg>) -> clap::Command {
    match path {
        [name, rest @ ..] => command.mut_subcommand(name, |command| replace(command, rest, own)),
        [] => command.args(own),
    }
}
