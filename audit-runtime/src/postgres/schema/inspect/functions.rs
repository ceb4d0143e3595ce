//! The functions of the schema, compared with the migrations that make them.

use super::problem::{SchemaProblem, SchemaProblemKind};
use crate::postgres::schema::amendments::{AMENDMENTS, in_schema};
use crate::postgres::schema::migrations::MIGRATOR;
use sqlx::postgres::PgConnection;
use std::collections::BTreeMap;

const CREATE: [&str; 2] = ["CREATE FUNCTION ", "CREATE OR REPLACE FUNCTION "];
const QUOTE: &str = " AS $";
const PATH: &str = "search_path=pg_catalog, pg_temp";

/// A function as a migration defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Defined {
    /// The text between the quotes; empty where the definition is an expression.
    body: String,
    /// The text from the parameters to the end of the body.
    definition: String,
    is_definer: bool,
    has_path: bool,
}

/// A function as a database has it.
#[derive(Debug, sqlx::FromRow)]
struct Found {
    name: String,
    signature: String,
    body: String,
    is_definer: bool,
    settings: Option<Vec<String>>,
    is_public: bool,
    is_trigger: bool,
    owner: String,
    is_of_owner: bool,
}

/// Reads the functions that a script creates.
fn defined(sql: &str, functions: &mut BTreeMap<String, Defined>) {
    for create in CREATE {
        for (at, _) in sql.match_indices(create) {
            if let Some((name, rest)) = sql[at + create.len()..].split_once('(') {
                functions.insert(plain(name), definition(rest));
            }
        }
    }
    for (at, _) in sql.match_indices("ALTER FUNCTION ") {
        let statement = sql[at + "ALTER FUNCTION ".len()..].split(';').next().unwrap_or_default();
        if let Some((name, _)) = statement.split_once('(')
            && statement.ends_with("SET search_path = pg_catalog, pg_temp")
            && let Some(function) = functions.get_mut(&plain(name))
        {
            function.has_path = true;
        }
    }
}

/// A name without its schema.
fn plain(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).trim().to_owned()
}

/// Reads a definition, from behind the parenthesis of its parameters.
fn definition(rest: &str) -> Defined {
    let end = rest.find(';').unwrap_or(rest.len());
    let quoted = rest[..end].find(QUOTE).and_then(|at| {
        let (tag, text) = rest[at + QUOTE.len()..].split_once('$')?;
        let tag = format!("${tag}$");
        let length = text.find(&tag)?;
        let start = rest.len() - text.len();
        Some((&rest[..at], &text[..length], start + length + tag.len()))
    });
    let (header, body, end) = quoted.unwrap_or((&rest[..end], "", end));
    Defined {
        body: body.to_owned(),
        definition: rest[..end].to_owned(),
        is_definer: header.contains("SECURITY DEFINER"),
        has_path: header.contains("SET search_path = pg_catalog, pg_temp"),
    }
}

impl Defined {
    /// Returns the statements that make the function anew.
    fn remedy(&self, schema: &str, name: &str) -> String {
        let mut sql = format!("CREATE OR REPLACE FUNCTION {schema}.{name}({};", self.definition);
        if self.has_path && !self.definition.contains("SET search_path") {
            sql += &format!("\nALTER FUNCTION {schema}.{name} SET search_path = pg_catalog, pg_temp;");
        }
        if self.is_definer {
            sql += &format!("\nREVOKE ALL ON FUNCTION {schema}.{name} FROM PUBLIC;");
        }
        sql
    }
}

/// Returns the functions, as the last migration that defines each has them.
fn all(schema: &str) -> BTreeMap<String, Defined> {
    let mut functions = BTreeMap::new();
    for migration in MIGRATOR.iter() {
        defined(migration.sql.as_str(), &mut functions);
    }
    for amendment in &AMENDMENTS {
        defined(&in_schema(amendment.sql, schema), &mut functions);
    }
    functions
}

pub(super) async fn inspect(
    connection: &mut PgConnection,
    schema: &str,
    problems: &mut Vec<SchemaProblem>,
) -> Result<(), sqlx::Error> {
    let sql = "SELECT p.proname::text AS name, p.oid::regprocedure::text AS signature, p.prosrc AS body, p.prosecdef AS is_definer, \
         p.proconfig AS settings, EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0) AS is_public, \
         p.prorettype = 'trigger'::regtype AS is_trigger, quote_ident(pg_get_userbyid(t.relowner)) AS owner, p.proowner = t.relowner AS is_of_owner \
         FROM pg_class t JOIN pg_proc p ON p.pronamespace = t.relnamespace \
         WHERE t.oid = 'audit_events'::regclass AND p.proname = ANY ($1) ORDER BY 2";
    let wanted = all(schema);
    let names: Vec<&str> = wanted.keys().map(String::as_str).collect();
    let found: Vec<Found> = sqlx::query_as(sql).persistent(false).bind(names).fetch_all(connection).await?;
    for (name, function) in wanted.iter().filter(|(name, _)| !found.iter().any(|found| found.name == **name)) {
        let remedy = function.remedy(schema, name);
        problems.push(SchemaProblem::new(SchemaProblemKind::Missing, format!("function {name} is missing"), remedy));
    }
    for function in &found {
        if let Some(wanted) = wanted.get(&function.name) {
            compare(function, wanted, schema, problems);
        }
    }
    Ok(())
}

fn compare(found: &Found, wanted: &Defined, schema: &str, problems: &mut Vec<SchemaProblem>) {
    let signature = &found.signature;
    let mut differs = |about: String, remedy: String| {
        problems.push(SchemaProblem::new(SchemaProblemKind::Differs, about, remedy));
    };
    if found.body != wanted.body {
        let about = format!("function {signature} has another body than the migration gives it");
        differs(about, wanted.remedy(schema, &found.name));
        // The statement mends the rest, too.
        return;
    }
    if found.is_definer != wanted.is_definer {
        let (is, should) = if found.is_definer { ("its owner", "INVOKER") } else { ("its caller", "DEFINER") };
        differs(
            format!("function {signature} runs with the rights of {is}"),
            format!("ALTER FUNCTION {signature} SECURITY {should};"),
        );
    }
    let has_path = found.settings.iter().flatten().any(|setting| setting == PATH);
    if wanted.has_path && !has_path {
        differs(
            format!("function {signature} follows the search path of its caller"),
            format!("ALTER FUNCTION {signature} SET search_path = pg_catalog, pg_temp;"),
        );
    }
    if wanted.is_definer && !found.is_trigger && found.is_public {
        differs(
            format!("every role may call function {signature}, which runs with the rights of its owner"),
            format!("REVOKE ALL ON FUNCTION {signature} FROM PUBLIC;"),
        );
    }
    if !found.is_of_owner {
        differs(
            format!("function {signature} does not belong to {}, the owner of audit_events", found.owner),
            format!("ALTER FUNCTION {signature} OWNER TO {};", found.owner),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_read_with_its_last_body() {
        let functions = all("public");
        for name in ["audit_refuse_change", "audit_destroy_only", "audit_take_keys", "audit_forget", "audit_unfinished"]
        {
            let body = &functions[name].body;
            assert!(body.contains("BEGIN") && body.trim_end().ends_with("END"), "{name}: {body}");
            assert!(!body.contains("{schema}"), "{body}");
        }
        assert_eq!(functions["audit_bucket"].body, "");
        assert!(functions["audit_make_partitions"].body.contains("_unbatched_time"), "the later of two");
        assert!(functions["audit_forget"].is_definer && functions["audit_forget"].has_path);
        assert!(!functions["audit_refuse_change"].is_definer && functions["audit_refuse_change"].has_path);
        let remedy = functions["audit_refused"].remedy("public", "audit_refused");
        assert!(
            remedy.starts_with("CREATE OR REPLACE FUNCTION public.audit_refused(journal uuid) RETURNS"),
            "{remedy}"
        );
        let remedy = functions["audit_refuse_change"].remedy("public", "audit_refuse_change");
        assert!(
            remedy.starts_with("CREATE OR REPLACE FUNCTION public.audit_refuse_change() RETURNS trigger"),
            "{remedy}"
        );
        assert!(remedy.contains("SET search_path = pg_catalog, pg_temp AS $audit$"), "{remedy}");
        assert!(remedy.contains("public.audit_pruned p"), "the later of two: {remedy}");
        assert_eq!(functions["audit_is_held"].body, "");
        assert!(functions["audit_rewrite_keys"].body.contains("CLUSTER public.audit_keys"));
    }
}
