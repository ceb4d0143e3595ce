//! `#[derive(AuditEvent)]`: a struct whose fields are the event's data.

use crate::args::{Also, Format, Value, assigned, assigned_path, listed};
use crate::diagnostics::looks_secret;
use crate::event_type::{EventType, Text, entity, event_type};
use crate::expand::{checked_constant, method};
use crate::habits;
use crate::secret::says_secret;
use crate::syntax::{key, mentions};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse as _, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Expr, Fields, LitStr, Path, Token, Type, parse_quote};

const ON_STRUCT: &[&str] = &["event", "entity", "id", "also", "tenant", "actor", "subject", "crate"];
const ON_FIELD: &[&str] = &["skip", "redact", "plain", "personal", "rename"];

/// The content of `#[audit(..)]` on the struct.
#[derive(Default)]
struct Container {
    event: Option<Value>,
    entity: Option<Value>,
    id: Option<Value>,
    also: Vec<Also>,
    tenant: Option<Value>,
    actor: Option<Value>,
    subject: Option<Value>,
    krate: Option<Path>,
}

/// A field, and the content of its `#[audit(..)]`.
struct Field {
    name: Ident,
    ty: Type,
    key: String,
    captured: Captured,
    plain: bool,
    personal: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Captured {
    As(Format),
    Redacted,
    Skipped,
}

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = fields(input)?;
    let container = container(input)?;
    let event = event_type(container.event.ok_or_else(|| {
        syn::Error::new_spanned(&input.ident, "missing `event`; write `#[audit(event = \"noun.verb\")]` on the struct")
    })?)?;
    let entity = entity(container.entity, &event, "the fields")?;
    let id = match container.id {
        Some(id) => match id.early("id", "the fields")? {
            Expr::Path(path) if fields.iter().all(|field| !path.path.is_ident(&field.name)) && is_none(&path) => None,
            id => Some(id),
        },
        None => Some(default_id(&entity, &fields, input)?),
    };
    let actor = container.actor.map(|actor| actor.early("actor", "the fields")).transpose()?;
    let tenant = container.tenant.map(|tenant| tenant.early("tenant", "the fields")).transpose()?;
    let also = container.also.into_iter().map(|Also { entity, value }| {
        let value = value.early(&entity.to_string(), "the fields")?;
        Ok((key(&entity), value))
    });
    let also = also.collect::<syn::Result<Vec<_>>>()?;
    let subject = container.subject.map(|subject| subject.early("subject", "the fields")).transpose()?;
    match (fields.iter().find(|field| field.personal), &subject) {
        (Some(Field { name, .. }), None) => {
            return Err(syn::Error::new_spanned(
                name,
                format!(
                    "`{name}` is personal, so its subject has to be known; add `#[audit(subject = ..)]` on the struct"
                ),
            ));
        }
        (None, Some(subject)) => {
            return Err(syn::Error::new_spanned(
                subject,
                "`subject` needs a personal field; add `#[audit(personal)]` on one, or remove `subject`",
            ));
        }
        _ => {}
    }

    let krate = container.krate.unwrap_or_else(|| parse_quote!(::audit_runtime));
    let private = quote!(#krate::__private);
    let data = format_ident!("__audit_data", span = Span::mixed_site());
    let captures = fields.iter().filter_map(|Field { name, ty, key, captured, personal, .. }| match captured {
        Captured::Skipped => None,
        Captured::Redacted => Some(quote!(let _ = &self.#name; #data.redacted(#key);)),
        Captured::As(format) => {
            let (method, personal) = (method(*format), personal.then(|| quote!(.personal())));
            Some(quote_spanned!(ty.span()=> #data #personal.#method(#key, &self.#name);))
        }
    });
    let texts = match &entity {
        Text::Expr(entity) => vec![entity],
        Text::Literal(_) => Vec::new(),
    };
    // Expressions name the fields as they name parameters in `#[audited]`.
    let named = fields.iter().map(|field| &field.name);
    let named = named.filter(|name| {
        let others = also.iter().map(|(_, value)| value);
        let mut used = texts.iter().copied().chain(&id).chain(others).chain(&tenant).chain(&actor).chain(&subject);
        used.any(|expr| mentions(expr, name))
    });
    let entity = match &entity {
        Text::Literal(literal) => quote!(#literal),
        Text::Expr(expr) => quote!(#expr),
    };
    let event = match &event {
        EventType::Literal(literal) => quote!(#literal),
        EventType::Constant(constant) => checked_constant(&private, constant),
        EventType::Late(closure) => {
            quote!(#[allow(clippy::implicit_return, clippy::redundant_closure, clippy::redundant_closure_for_method_calls)] { #private::late(self, #closure) })
        }
    };
    let actor = actor.as_ref().map(|actor| quote_spanned!(actor.span()=> .actor(&(#actor))));
    let tenant = tenant.as_ref().map(|tenant| quote_spanned!(tenant.span()=> .tenant(&(#tenant))));
    let also = also.iter().map(|(entity, value)| quote_spanned!(value.span()=> .target(#entity, &(#value))));
    let subject = subject.as_ref().map(|subject| quote_spanned!(subject.span()=> #data.subject(&(#subject));));
    let id = match &id {
        Some(id) => quote_spanned!(id.span()=> &(#id)),
        None => quote!(&#krate::EntityId::None),
    };

    let name = &input.ident;
    let mut generics = input.generics.clone();
    let parameters: Vec<Ident> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    for field in fields.iter().filter(|field| field.captured == Captured::As(Format::Serialize)) {
        let ty = &field.ty;
        if parameters.iter().any(|parameter| mentions(ty, parameter)) {
            generics.make_where_clause().predicates.push(parse_quote!(#ty: #private::Capture));
        }
    }
    let mut borrowed = generics.clone();
    borrowed.params.insert(0, parse_quote!('__audit));
    let (borrowing, _, _) = borrowed.split_for_impl();
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        #[allow(clippy::implicit_return)]
        impl #impl_generics #krate::AuditEvent for #name #type_generics #where_clause {
            fn into_event(self) -> #krate::Event {
                #krate::AuditEvent::into_event(&self)
            }
        }

        #[automatically_derived]
        #[allow(clippy::implicit_return)]
        impl #borrowing #krate::AuditEvent for &'__audit #name #type_generics #where_clause {
            fn into_event(self) -> #krate::Event {
                let #name { #(#named,)* .. } = self;
                let mut #data = #private::EventData::new();
                #subject
                #(#captures)*
                #data.event(#event, #entity, #id) #actor #(#also)* #tenant
            }
        }
    })
}

fn fields(input: &DeriveInput) -> syn::Result<Vec<Field>> {
    let what = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(named) => {
                let mut fields: Vec<Field> = Vec::new();
                for declared in &named.named {
                    let Some(name) = declared.ident.clone() else {
                        continue;
                    };
                    let field = field(name, declared.ty.clone(), &declared.attrs)?;
                    let clash = |earlier: &&Field| earlier.key == field.key && earlier.captured != Captured::Skipped;
                    if field.captured != Captured::Skipped && fields.iter().any(|earlier| clash(&earlier)) {
                        return Err(syn::Error::new_spanned(
                            &field.name,
                            format!("two fields are recorded as `{}`; rename one of them", field.key),
                        ));
                    }
                    fields.push(field);
                }
                return Ok(fields);
            }
            Fields::Unnamed(_) => "a tuple struct",
            Fields::Unit => return Ok(Vec::new()),
        },
        Data::Enum(_) => "an enum",
        Data::Union(_) => "a union",
    };
    Err(syn::Error::new_spanned(
        &input.ident,
        format!(
            "`AuditEvent` cannot be derived for {what}; write a struct with named fields, which become the event's data"
        ),
    ))
}

fn field(name: Ident, ty: Type, attrs: &[Attribute]) -> syn::Result<Field> {
    let mut field =
        Field { key: key(&name), name, ty, captured: Captured::As(Format::Serialize), plain: false, personal: false };
    // Fields that serde skips are not recorded either.
    for attribute in attrs.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("skip") || meta.path.is_ident("skip_serializing") {
                field.captured = Captured::Skipped;
            }
            if meta.input.peek(Token![=]) {
                meta.value()?.parse::<Expr>()?;
            }
            Ok(())
        });
    }
    for attribute in audit(attrs) {
        attribute.parse_args_with(|input: ParseStream<'_>| {
            while !input.is_empty() {
                field.option(input)?;
                habits::comma(input, "arguments")?;
            }
            Ok(())
        })?;
    }
    if field.personal && (field.plain || !matches!(field.captured, Captured::As(_))) {
        return Err(syn::Error::new_spanned(
            &field.name,
            format!("`{}` cannot be personal and also skipped, redacted or plain; remove one of them", field.name),
        ));
    }
    if matches!(field.captured, Captured::As(_))
        && !field.plain
        && !field.personal
        && (says_secret(&field.name.to_string()) || says_secret(&field.key))
    {
        return Err(looks_secret(
            &field.name,
            "add `#[audit(redact)]` or `#[audit(skip)]`, or `#[audit(plain)]` if it is not one",
        ));
    }
    Ok(field)
}

impl Field {
    fn option(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        if input.peek(Token![%]) || input.peek(Token![?]) {
            self.captured = Captured::As(Format::parse_sigil(input)?);
            return Ok(());
        }
        let name = habits::argument_name(input)?;
        match name.to_string().as_str() {
            "skip" => self.captured = Captured::Skipped,
            "redact" => self.captured = Captured::Redacted,
            "plain" => self.plain = true,
            "personal" => self.personal = true,
            "rename" => {
                let text: LitStr = assigned(&name, input)?;
                self.key = text.value();
                if self.key.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
                    return Err(syn::Error::new_spanned(
                        &text,
                        "the key contains quotes, backslashes or control characters; write one without",
                    ));
                }
            }
            _ => return Err(habits::unknown_on(&name, ON_FIELD, "on a field", habits::FIELDS)),
        }
        if name == "rename" { Ok(()) } else { habits::flag(&name, input) }
    }
}

fn container(input: &DeriveInput) -> syn::Result<Container> {
    let mut container = Container::default();
    let mut seen: Vec<Ident> = Vec::new();
    for attribute in audit(&input.attrs) {
        attribute.parse_args_with(|input: ParseStream<'_>| {
            while !input.is_empty() {
                if let Some(error) = habits::quoted_argument(input) {
                    return Err(error);
                }
                let name = habits::argument_name(input)?;
                if seen.contains(&name) {
                    return Err(syn::Error::new_spanned(&name, format!("`{name}` is given twice; remove one of them")));
                }
                match name.to_string().as_str() {
                    "event" => container.event = Some(assigned(&name, input)?),
                    "entity" => container.entity = Some(assigned(&name, input)?),
                    "id" => container.id = Some(assigned(&name, input)?),
                    "also" => container.also = listed(&name, input, Also::parse)?,
                    "tenant" => container.tenant = Some(assigned(&name, input)?),
                    "actor" => container.actor = Some(assigned(&name, input)?),
                    "subject" => container.subject = Some(assigned(&name, input)?),
                    "crate" => container.krate = Some(assigned_path(input)?),
                    _ => return Err(habits::unknown_on(&name, ON_STRUCT, "on a struct", habits::STRUCTS)),
                }
                seen.push(name);
                habits::comma(input, "arguments")?;
            }
            Ok(())
        })?;
    }
    Ok(container)
}

/// Whether a path is the word for no id.
fn is_none(path: &syn::ExprPath) -> bool {
    path.path.is_ident("none") || path.path.is_ident("None")
}

fn audit(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attribute| attribute.path().is_ident("audit"))
}

fn default_id(entity: &Text, fields: &[Field], input: &DeriveInput) -> syn::Result<Expr> {
    let mut names = vec!["id".to_owned()];
    if let Text::Literal(entity) = entity {
        names.insert(0, format!("{}_id", entity.value()));
    }
    let found = names.iter().find_map(|name| fields.iter().find(|field| field.name == *name));
    found.map(|Field { name, .. }| parse_quote!(#name)).ok_or_else(|| {
        let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
        syn::Error::new_spanned(
            &input.ident,
            format!("missing `id`, for no field is named {names}; add `#[audit(id = ..)]` or `#[audit(id = none)]` on the struct"),
        )
    })
}
