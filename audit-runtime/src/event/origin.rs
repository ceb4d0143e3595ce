//! The process that events come from.

use crate::sys::platform;

/// Where events come from: `<service>@<host>:<process id>`, by default the program's name.
pub(crate) fn origin(service: Option<&str>) -> String {
    let program = || {
        let program = std::env::current_exe().ok()?;
        Some(program.file_name()?.to_string_lossy().into_owned())
    };
    let service = service.map_or_else(|| program().unwrap_or_else(|| "unnamed".into()), str::to_owned);
    format!("{service}@{}:{}", platform::host_name(), std::process::id())
}
