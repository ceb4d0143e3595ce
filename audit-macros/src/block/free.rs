//! The names that an expression takes from around it.

use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprCall, ExprLit, ExprMacro, ExprPath, Ident, Item, Lit, PatIdent, Token};

/// Returns the names that may be parameters, and `self`, in their order. A constant, a type and a
/// called function are none of them: a name in upper case, a path of several words, `name(..)`.
pub(super) fn free_names(expr: &Expr) -> Vec<Ident> {
    let mut names = Names::default();
    names.visit_expr_mut(&mut expr.clone());
    let Names { found, bound } = names;
    let mut free: Vec<Ident> = Vec::new();
    for name in found {
        if !bound.contains(&name) && !free.contains(&name) {
            free.push(name);
        }
    }
    free
}

#[derive(Default)]
struct Names {
    found: Vec<Ident>,
    /// By a closure, a `let` or an arm of a `match`.
    bound: Vec<Ident>,
}

impl VisitMut for Names {
    fn visit_expr_path_mut(&mut self, path: &mut ExprPath) {
        if path.qself.is_none()
            && let Some(name) = path.path.get_ident()
            && !name.to_string().starts_with(char::is_uppercase)
        {
            self.found.push(name.clone());
        }
    }

    fn visit_expr_call_mut(&mut self, call: &mut ExprCall) {
        if !matches!(&*call.func, Expr::Path(path) if path.path.get_ident().is_some()) {
            self.visit_expr_mut(&mut call.func);
        }
        for argument in &mut call.args {
            self.visit_expr_mut(argument);
        }
    }

    fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
        self.bound.push(pat.ident.clone());
        visit_mut::visit_pat_ident_mut(self, pat);
    }

    /// Arguments of a macro are expressions, as those of `format!` are, or they are unknown.
    fn visit_expr_macro_mut(&mut self, made: &mut ExprMacro) {
        let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
        let Ok(arguments) = parser.parse2(made.mac.tokens.clone()) else {
            return;
        };
        for mut argument in arguments {
            match &mut argument {
                Expr::Assign(named) => {
                    if let Expr::Path(name) = &*named.left
                        && let Some(name) = name.path.get_ident()
                    {
                        self.bound.push(name.clone());
                    }
                    self.visit_expr_mut(&mut named.right);
                }
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                    let names = in_braces(&text.value());
                    self.found.extend(names.iter().filter_map(|name| {
                        let name: Ident = syn::parse_str(name).ok()?;
                        Some(Ident::new(&name.to_string(), text.span()))
                    }));
                }
                argument => self.visit_expr_mut(argument),
            }
        }
    }

    fn visit_item_mut(&mut self, _: &mut Item) {}
}

/// Returns the names in the braces of a format text, as in `"user:{name:>5}"`.
fn in_braces(text: &str) -> Vec<String> {
    let text = text.replace("{{", "");
    let holes = text.split('{').skip(1).map(|hole| hole.split(['}', ':']).next().unwrap_or(hole).trim());
    holes
        .filter(|name| name.starts_with(|first: char| first.is_lowercase() || first == '_'))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(text: &str) -> String {
        let names = free_names(&syn::parse_str(text).unwrap());
        names.iter().map(Ident::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_are_those_that_a_method_has_to_have() {
        assert_eq!(free("account_id"), "account_id");
        assert_eq!(free("(request.account_id, self.tenant)"), "request self");
        assert_eq!(free("current_user()"), "");
        assert_eq!(free("of(user).name(other)"), "user other");
        assert_eq!(free("Kind::of(ACTOR, Some(account))"), "account");
        assert_eq!(free("|account| account.id + offset"), "offset");
        assert_eq!(free("match kind { Kind::Of(inner) => inner, other => other }"), "kind");
        assert_eq!(free("Uuid::nil()"), "");
    }

    #[test]
    fn names_in_a_format_text_are_found() {
        assert_eq!(free(r#"format_args!("customer:{customer}")"#), "customer");
        assert_eq!(free(r#"format!("{{x}} {} {a:>5} {b} {0} {}", c, b = d.e)"#), "a c d");
        assert_eq!(free("unknown!(a => b)"), "");
    }
}
