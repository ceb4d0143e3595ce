//! `audit-trail catalogue`: what services audit, where, and what of it is personal.

mod compared;
mod forms;
mod in_force;
mod listed;
mod markdown;

#[cfg(feature = "serve")]
pub(crate) use listed::{Listed, Service, by_service};

use crate::failure::Failure;
use crate::select;
use crate::show::Style;
use crate::time::{Bound, Zone};
use audit_runtime::Timestamp;
use audit_runtime::trail::{StoredCatalogue, Trail};
use clap::{Args, ValueEnum};
use forms::Form;

/// Prints the functions that services audit: their event types, places in the code, fields and how
/// each is captured, guarantees, and the first and last version that has them. A service stores its
/// catalogue once for each version. No function has to be called for that.
#[derive(Debug, Args)]
pub(crate) struct Catalogue {
    /// The functions of this service
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    service: Option<String>,
    /// Functions, too, that the newest version of their service no longer has
    #[arg(long, conflicts_with_all = ["unused", "unknown"])]
    all: bool,
    /// Event types that a function declares, and that were never recorded
    #[arg(long, group = "comparison")]
    unused: bool,
    /// Event types that were recorded, and that no version of a service declares
    #[arg(long, group = "comparison")]
    unknown: bool,
    /// With --unused, types not recorded since then; with --unknown, types recorded since then:
    /// RFC 3339, a date, 90d (90 days ago)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "comparison")]
    since: Option<String>,
    /// The form of the list; markdown is a record of processing activities (GDPR, article 30), whose
    /// empty columns are to be completed
    #[arg(long, value_enum, value_name = "FORM", default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Each function with its fields
    Text,
    /// One JSON array
    Json,
    /// A record of processing activities
    Markdown,
    /// CSV (RFC 4180) with a header
    Csv,
}

impl Catalogue {
    pub(crate) async fn run(self, trail: &Trail, style: &Style) -> Result<(), Failure> {
        if style.is_given() {
            let forms = "catalogue has forms of its own: --format text, json, markdown or csv";
            return Err(Failure::Usage(forms.into()));
        }
        let zone = Zone::system().map_err(Failure::Usage)?;
        let since = self.since.as_deref().map(|since| select::moment("--since", since, Bound::Since, &zone));
        let since = since.transpose()?;
        let mut catalogues = trail.catalogues(None).await?;
        // Event types of other services are known, too.
        if self.unknown {
            return self.print_unknown(trail, &catalogues, since, style, &zone).await;
        }
        if catalogues.is_empty() {
            return Err(Failure::Nothing(NONE.into()));
        }
        if let Some(service) = &self.service {
            let others = services(&catalogues);
            catalogues.retain(|catalogue| catalogue.service == *service);
            if catalogues.is_empty() {
                return Err(Failure::Nothing(format!(
                    "service {service} has no catalogue; these have one: {}",
                    others.join(", ")
                )));
            }
        }
        if self.unused {
            let functions = listed::listed(&catalogues, false);
            return self.print_unused(trail, &functions, since, style, &zone).await;
        }
        let functions = with_rules(trail, &catalogues, self.all).await?;
        match self.format {
            Format::Text => forms::text(&catalogues, &functions, &zone),
            Format::Json => forms::json(&functions),
            Format::Csv => forms::csv(&functions, style.is_raw()),
            Format::Markdown => markdown::print(&functions),
        }
    }

    async fn print_unused(
        &self,
        trail: &Trail,
        functions: &[listed::Listed<'_>],
        since: Option<Timestamp>,
        style: &Style,
        zone: &Zone,
    ) -> Result<(), Failure> {
        let unused = compared::unused(trail, functions, since).await?;
        if unused.is_empty() {
            return Err(Failure::Nothing("every event type that a function declares was recorded".into()));
        }
        forms::rows(&compared::UNUSED, unused, self.comparison_form(style)?, zone)
    }

    async fn print_unknown(
        &self,
        trail: &Trail,
        catalogues: &[StoredCatalogue],
        since: Option<Timestamp>,
        style: &Style,
        zone: &Zone,
    ) -> Result<(), Failure> {
        if self.service.is_some() {
            let text =
                "--unknown looks at every service, because one type may be recorded by several; leave --service out";
            return Err(Failure::Usage(text.into()));
        }
        let unknown = compared::unknown(trail, catalogues, since).await?;
        if unknown.is_empty() {
            return Err(Failure::Nothing("every event type that was recorded is in a catalogue".into()));
        }
        forms::rows(&compared::UNKNOWN, unknown, self.comparison_form(style)?, zone)?;
        compared::notice_late(catalogues);
        Ok(())
    }

    fn comparison_form(&self, style: &Style) -> Result<Form, Failure> {
        match self.format {
            Format::Text => Ok(Form::Text(style.width())),
            Format::Json => Ok(Form::Json),
            Format::Csv => Ok(Form::Csv { is_raw: style.is_raw() }),
            Format::Markdown => Err(Failure::Usage(
                "markdown is the form of the whole catalogue; use --format text, json or csv here".into(),
            )),
        }
    }
}

/// Returns the functions of each service's newest version, or those of all versions, with the rules
/// in force about them.
pub(crate) async fn with_rules<'a>(
    trail: &Trail,
    catalogues: &'a [StoredCatalogue],
    all: bool,
) -> Result<Vec<listed::Listed<'a>>, Failure> {
    let mut functions = listed::listed(catalogues, all);
    in_force::add(trail, &mut functions).await?;
    Ok(functions)
}

/// The answer where no service has stored a catalogue.
const NONE: &str = "no service has stored a catalogue; a service whose library has it does so after its first events, if its role may: \
                    audit-trail migrate --writer ROLE grants it";

/// The services, each once.
fn services(catalogues: &[StoredCatalogue]) -> Vec<String> {
    let mut services: Vec<String> = catalogues.iter().map(|catalogue| catalogue.service.clone()).collect();
    services.sort_unstable();
    services.dedup();
    services
}
