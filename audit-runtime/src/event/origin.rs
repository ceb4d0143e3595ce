//! The process that events come from.

use crate::sys::platform;

/// Where events come from: `<service>@<host>:<process id>`, by default the program's name.
pub(crate) fn origin(service: Option<&str>) -> String {
    format!("{}@{}:{}", service_name(service), platform::host_name(), std::process::id())
}

/// The service's name: the given one, by default the program's.
pub(crate) fn service_name(given: Option<&str>) -> String {
    let program = || {
        let program = std::env::current_exe().ok()?;
        Some(program.file_name()?.to_string_lossy().into_owned())
    };
    given.map_or_else(|| program().unwrap_or_else(|| "unnamed".into()), str::to_owned)
}
