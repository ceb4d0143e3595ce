//! `migrate` and `partitions`: the tables, their indexes and rights.

use crate::failure::Failure;
use crate::say::{self, Steps};
use crate::text::harmless;
use audit_runtime::admin::{self, Admin};
use clap::{Args, ValueEnum};
use sqlx::postgres::PgPool;

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Lists the steps that a migration would take, and takes none; exits with 1 if there are any
    #[arg(long)]
    check: bool,
    /// Prints the statements that a migration would run, and runs none
    #[arg(long, conflicts_with = "check")]
    sql: bool,
    /// Includes the indexes of a vocabulary, for other programs that read it by `data->>'order_id'`
    #[arg(long, value_name = "VOCABULARY")]
    with: Vec<Vocabulary>,
    /// Grants this role the rights to store events, and to read none
    #[arg(long, value_name = "ROLE")]
    writer: Vec<String>,
    /// Grants this role the rights to read and verify
    #[arg(long, value_name = "ROLE")]
    reader: Vec<String>,
    /// Grants this role the rights to make checkpoints
    #[arg(long, value_name = "ROLE", alias = "sealer")]
    checkpointer: Vec<String>,
    /// Grants this role the right to forget subjects, and no other
    #[arg(long, value_name = "ROLE")]
    eraser: Vec<String>,
    /// Grants this role the rights to send events to other systems
    #[arg(long, value_name = "ROLE")]
    forwarder: Vec<String>,
    /// Grants this role the right to read the events of one tenant, in the view audit_tenant_events
    #[arg(long, value_name = "ROLE=TENANT", value_parser = assignment)]
    tenant: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Vocabulary {
    /// Orders and recommendations
    Execution,
}

#[derive(Debug, Args)]
pub(crate) struct Partitions {
    /// Packs the indexes of the months that are over instead, while others read and write
    #[arg(long)]
    compact: bool,
}

pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    // A tenant may contain the sign, a role hardly does.
    match text.split_once('=') {
        Some((role, tenant)) if !role.is_empty() && !tenant.is_empty() => Ok((role.into(), tenant.into())),
        _ => Err("write ROLE=TENANT, as in portal_acme=acme".into()),
    }
}

fn article(duty: admin::Role) -> &'static str {
    if duty == admin::Role::Eraser { "an" } else { "a" }
}

impl Migrate {
    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let mut admin = Admin::new(pool.clone());
        if self.with.contains(&Vocabulary::Execution) {
            admin = admin.with_execution();
        }
        if self.check || self.sql {
            return self.show(&admin).await;
        }
        let mut steps = Steps::default();
        admin.migrate_with_progress(|step| steps.step(&step.to_string())).await?;
        let mut printed = steps.or("the audit schema is up to date");
        for (duty, roles) in [
            (admin::Role::Writer, self.writer),
            (admin::Role::Reader, self.reader),
            (admin::Role::Checkpointer, self.checkpointer),
            (admin::Role::Eraser, self.eraser),
            (admin::Role::Forwarder, self.forwarder),
        ] {
            for role in roles {
                admin.grant(duty, &role).await?;
                printed = printed.and(say::line(format!("{} is {} {duty}", harmless(&role), article(duty))));
            }
        }
        for (role, tenant) in self.tenant {
            admin.assign_tenant(&role, &tenant).await?;
            printed = printed.and(say::line(format!("{} reads tenant {}", harmless(&role), harmless(&tenant))));
        }
        printed
    }

    /// Shows the steps that are left.
    async fn show(&self, admin: &Admin) -> Result<(), Failure> {
        let steps = admin.pending_migration().await?;
        if self.sql {
            for (number, step) in (1..).zip(&steps) {
                say::line(format!("-- step {number} of {}: {}\n{}", steps.len(), harmless(&step.about), step.sql))?;
            }
            return Ok(());
        }
        for step in &steps {
            say::line(harmless(&step.about))?;
        }
        match steps.len() {
            0 => say::line("the audit schema is up to date"),
            1 => Err(Failure::Nothing("a step is pending: audit-trail migrate takes it".into())),
            left => Err(Failure::Nothing(format!("{left} steps are pending: audit-trail migrate takes them"))),
        }
    }
}

impl Partitions {
    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let (admin, mut steps) = (Admin::new(pool.clone()), Steps::default());
        if !self.compact {
            admin.make_partitions(|step| steps.step(&step.to_string())).await?;
            return steps.or("all partitions exist already");
        }
        let done = admin.compact_partitions(|step| steps.step(&step.to_string())).await?;
        steps.or("the indexes of all months that are over are packed already")?;
        if done.partitions > 0 {
            let saved = (done.bytes_before - done.bytes_after).max(0).unsigned_abs();
            say::line(format!("{} saved", indicatif::HumanBytes(saved)))?;
        }
        Ok(())
    }
}
