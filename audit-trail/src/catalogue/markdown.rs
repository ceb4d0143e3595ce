//! The catalogue as a record of processing activities (GDPR, article 30).

use super::forms::is_recorded;
use super::listed::Listed;
use crate::failure::Failure;
use crate::show::for_programs;
use crate::text::Instead;
use audit_runtime::Timestamp;
use audit_runtime::catalogue::AuditedField;
use std::fmt::Write as _;
use std::io::Write as _;

const HEADER: &str = "\
| Activity | Purpose | Data subjects | Personal data | Other data | Recipients | Third countries | Time limit for erasure | Place in the code |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

/// Prints it.
pub(super) fn print(functions: &[Listed<'_>]) -> Result<(), Failure> {
    let now = Timestamp::now().to_string();
    let mut output = for_programs(Instead::Replacement);
    output.write_all(record(functions, now.split('T').next().unwrap_or_default()).as_bytes())?;
    Ok(output.flush()?)
}

/// Returns the record as of a day.
fn record(functions: &[Listed<'_>], day: &str) -> String {
    let mut text = format!(
        "# Record of processing activities\n\n\
         As of {day}, from the catalogue of audited functions. The library knows what is recorded and where. The\n\
         columns *Purpose*, *Data subjects*, *Recipients*, *Third countries* and *Time limit for erasure* are to be\n\
         completed. *Activity* contains the event types of `audit_events`.\n\n\
         | | |\n| --- | --- |\n| Controller and contact | |\n| Data protection officer | |\n\
         | Security measures | Personal data are encrypted by a key of each subject, and `audit-trail forget` destroys it. \
         Rows are append-only. |\n"
    );
    let mut service = None;
    for listed in functions {
        if service != Some(listed.service) {
            service = Some(listed.service);
            let _ = write!(
                text,
                "\n## {}, version {}\n\n{HEADER}",
                cell(listed.service),
                cell(&newest(functions, listed.service))
            );
        }
        let function = listed.function;
        let mut events = function.events.clone();
        if function.has_late_events {
            events.push("(decided by the call)".into());
        }
        let names = |is_one: &dyn Fn(&&AuditedField) -> bool| {
            let names = function.fields.iter().filter(is_one).map(|field| code(&field.name));
            names.collect::<Vec<_>>().join(", ")
        };
        let personal = names(&|field| field.is_personal);
        let other = names(&|field| !field.is_personal && is_recorded(field));
        let _ = writeln!(
            text,
            "| {} | | | {personal} | {other} | | | | {}, {}:{} |",
            cell(&events.join(", ")),
            code(&function.function),
            cell(&function.file),
            function.line
        );
    }
    text
}

/// The newest version of a service among these.
fn newest(functions: &[Listed<'_>], service: &str) -> String {
    let mut of_service = functions.iter().filter(|listed| listed.service == service && listed.is_current);
    of_service.next().map_or_else(String::new, |listed| listed.last_version.clone())
}

/// A name in a cell, as code.
fn code(name: &str) -> String {
    format!("`{}`", name.replace('`', "'").replace('|', "\\|").replace(['\n', '\r'], " "))
}

/// A text in a cell: it ends neither the cell nor the line, and is no HTML.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace(['\n', '\r'], " ")
}
