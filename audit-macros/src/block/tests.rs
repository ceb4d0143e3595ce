//! A block expands to what the attribute on each method would, token by token.

use super::{Kind, expand};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use std::str::FromStr;
use syn::{Attribute, ImplItem, Item};

fn tokens(text: &str) -> TokenStream {
    TokenStream::from_str(text).unwrap()
}

fn block(args: &str, item: &str) -> TokenStream {
    let item = tokens(item);
    expand(tokens(args), Kind::of(&item).unwrap(), item)
}

fn shown(args: &str, item: &str) -> String {
    prettyplease::unparse(&syn::parse2(block(args, item)).unwrap())
}

/// The functions of a block, each with its attributes.
fn functions(block: TokenStream) -> Vec<(Vec<Attribute>, TokenStream)> {
    match syn::parse2(block).unwrap() {
        Item::Impl(block) => {
            let functions = block.items.into_iter().filter_map(|item| match item {
                ImplItem::Fn(mut function) => Some((std::mem::take(&mut function.attrs), function.into_token_stream())),
                _ => None,
            });
            functions.collect()
        }
        Item::Mod(module) => {
            let functions = module.content.unwrap().1.into_iter().filter_map(|item| match item {
                Item::Fn(mut function) => Some((std::mem::take(&mut function.attrs), function.into_token_stream())),
                _ => None,
            });
            functions.collect()
        }
        _ => panic!("neither an impl block nor a module"),
    }
}

/// Expands every function of a block whose functions have their attributes.
fn expanded(block: TokenStream) -> Vec<String> {
    let functions = functions(block).into_iter().map(|(attrs, function)| {
        let is_audited = |attribute: &&Attribute| attribute.path().segments.last().unwrap().ident == "audited";
        let others = attrs.iter().filter(|attribute| !is_audited(attribute));
        let function = quote!(#(#others)* #function);
        match attrs.iter().find(is_audited) {
            Some(attribute) => {
                let args = attribute.parse_args().unwrap();
                crate::expand(args, function, false).unwrap_or_else(|error| panic!("{error}")).to_string()
            }
            None => function.to_string(),
        }
    });
    functions.collect()
}

/// Compares a block with the same one whose methods have each their whole attribute.
#[track_caller]
fn assert_same(args: &str, item: &str, single: &str) {
    assert_eq!(expanded(block(args, item)), expanded(tokens(single)));
}

#[test]
fn each_method_has_the_defaults_it_has_use_for() {
    assert_same(
        r#"entity = "account", id = account_id, tenant = self.tenant, actor = user, also(customer = customer_id),
           fields(kind = request.kind), skip(db), redact(note), personal(email), subject = customer_id,
           err = "account.refused", when = amount > 0"#,
        r#"impl<'a, T: for<'b> Fn(&'b u8) -> u8> Accounts<'a, T> where T: Send {
            const LIMIT: Limit = Limit { cents: 5 };
            /// Opens one.
            #[inline]
            pub fn open(customer_id: u64, email: &str, db: &Db) -> Result<Account, Error> { db.open() }
            pub(crate) async fn pay(&self, account_id: u64, user: &User, amount: u64) -> u64 { amount }
            #[cfg(feature = "notes")]
            pub fn note(&mut self, account_id: u64, request: Request, note: String) -> Result<(), Error> { Ok(()) }
            fn private(&self, account_id: u64) {}
        }"#,
        r#"impl<'a, T: for<'b> Fn(&'b u8) -> u8> Accounts<'a, T> where T: Send {
            #[audited(event = "account.open", id = none, also(customer = customer_id), skip(db), personal(email),
                      subject = customer_id, err = "account.refused")]
            /// Opens one.
            #[inline]
            pub fn open(customer_id: u64, email: &str, db: &Db) -> Result<Account, Error> { db.open() }
            #[audited(event = "account.pay", id = account_id, tenant = self.tenant, actor = user, when = amount > 0)]
            pub(crate) async fn pay(&self, account_id: u64, user: &User, amount: u64) -> u64 { amount }
            #[audited(event = "account.note", id = account_id, tenant = self.tenant, err = "account.refused",
                      fields(kind = request.kind), redact(note))]
            #[cfg(feature = "notes")]
            pub fn note(&mut self, account_id: u64, request: Request, note: String) -> Result<(), Error> { Ok(()) }
            fn private(&self, account_id: u64) {}
        }"#,
    );
}

#[test]
fn a_methods_own_arguments_add_and_override() {
    assert_same(
        r#"entity = "account", prefix = "billing", id = account_id, actor = "billing", skip(db), redact(note, memo),
           fields(source = "web", size = 1), fallible"#,
        r#"impl Accounts {
            #[audited(event = "limit.changed", entity = "limit", id = limit_id, skip(log), fields(size = 2, unit = "cents"))]
            pub fn change(&self, limit_id: u64, account_id: u64, db: &Db, log: &Log) -> Answer {}
            #[must_use]
            #[audited(actor = user, plain(note), infallible)]
            pub fn note(&self, account_id: u64, note: &str, memo: &str, user: &str) -> Answer {}
            #[audited(only(%memo, account_id))]
            pub fn memo(&self, account_id: u64, note: &str, memo: &str) -> Answer {}
            #[audited(off)]
            pub fn get(&self, account_id: u64) -> Answer {}
            #[audited]
            fn close(&self, id: u64) -> Answer {}
        }"#,
        r#"impl Accounts {
            #[audited(event = "limit.changed", entity = "limit", id = limit_id, actor = "billing", skip(db, log), fallible,
                      fields(source = "web", size = 2, unit = "cents"))]
            pub fn change(&self, limit_id: u64, account_id: u64, db: &Db, log: &Log) -> Answer {}
            #[audited(event = "billing.account.note", entity = "account", id = account_id, actor = user, redact(memo),
                      plain(note), fields(source = "web", size = 1), infallible)]
            #[must_use]
            pub fn note(&self, account_id: u64, note: &str, memo: &str, user: &str) -> Answer {}
            #[audited(event = "billing.account.memo", entity = "account", id = account_id, actor = "billing",
                      redact(note, memo), only(%memo, account_id), fields(source = "web", size = 1), fallible)]
            pub fn memo(&self, account_id: u64, note: &str, memo: &str) -> Answer {}
            pub fn get(&self, account_id: u64) -> Answer {}
            #[audited(event = "billing.account.close", entity = "account", id = none, actor = "billing", fallible,
                      fields(source = "web", size = 1))]
            fn close(&self, id: u64) -> Answer {}
        }"#,
    );
}

#[test]
fn a_trait_impl_is_as_public_as_its_trait() {
    assert_same(
        r#"entity = "order", methods(!list_*)"#,
        r#"#[async_trait] impl<T: Send> Broker for Paper<T> {
            type Error = Refused;
            async fn submit(&self, order_id: Uuid, Side(side): Side) -> Result<u8, Refused> { Ok(7) }
            fn cancel<'life0, 'async_trait>(&'life0 self, id: Uuid) -> Pin<Box<dyn Future<Output = Result<u8, E>> + Send + 'async_trait>>
                where 'life0: 'async_trait { Box::pin(async move { let id = id; let __ret: Result<u8, E> = { Ok(7) }; __ret }) }
            fn list_all(&self) -> Vec<Order> { Vec::new() }
        }"#,
        r#"impl<T: Send> Broker for Paper<T> {
            #[audited(event = "order.submit")]
            async fn submit(&self, order_id: Uuid, Side(side): Side) -> Result<u8, Refused> { Ok(7) }
            #[audited(event = "order.cancel")]
            fn cancel<'life0, 'async_trait>(&'life0 self, id: Uuid) -> Pin<Box<dyn Future<Output = Result<u8, E>> + Send + 'async_trait>>
                where 'life0: 'async_trait { Box::pin(async move { let id = id; let __ret: Result<u8, E> = { Ok(7) }; __ret }) }
            fn list_all(&self) -> Vec<Order> { Vec::new() }
        }"#,
    );
}

#[test]
fn a_module_has_functions() {
    assert_same(
        r#"entity = "session", id = none, required, methods(pub, sweep)"#,
        r#"pub(crate) mod sessions {
            #![allow(dead_code)]
            use super::*;
            const MOST: Limit = Limit { cents: 5 };
            pub struct Session { pub id: u64 }
            impl Session { pub fn close(&self) {} }
            macro_rules! none { () => {} }
            pub async fn open(user: &str) -> Result<u64, Error> { Ok(1) }
            fn sweep() -> Result<u64, Error> { Ok(1) }
            fn helper() {}
        }"#,
        r#"mod sessions {
            #[audited(event = "session.open", id = none, required)]
            pub async fn open(user: &str) -> Result<u64, Error> { Ok(1) }
            #[audited(event = "session.sweep", id = none, required)]
            fn sweep() -> Result<u64, Error> { Ok(1) }
            fn helper() {}
        }"#,
    );
}

#[test]
fn the_rest_of_a_block_stays_as_it_was_written() {
    insta::assert_snapshot!(shown(
        r#"entity = "account", id = account_id, actor = format!("user:{user}"), crate = my::audit, intent,
           result = |account| account.id, methods(*, !get_*)"#,
        r#"#[cfg(feature = "accounts")]
        unsafe impl<const N: usize> Accounts<{ N }> where [u8; N]: Sized {
            type Id = u64;
            /// Opens an account.
            #[must_use = "it has an id"]
            pub fn open(&self, account_id: u64, #[cfg(feature = "users")] user: u64) -> Account { Account::new() }
            #[other::audited(id = self.id)]
            fn close(self: Box<Self>) {}
            pub fn get_all(&self) {}
            generated!();
        }"#
    ));
}

#[test]
fn bodies_that_are_no_rust_yet_stay_in_place() {
    for body in ["{ self.accounts. }", "{ let x = ; }", "{ match account_id { Some() => , _ } }", "{ fn }"] {
        let item = format!(
            "impl Accounts {{ pub fn close(&self, account_id: u64) {body} pub fn open(account_id: u64) {{}} }}"
        );
        let block = block(r#"entity = "account""#, &item).to_string();
        assert!(block.contains(&tokens(body).to_string()) && !block.contains("compile_error"), "{block}");
        assert_eq!(block.matches(":: audit_runtime :: audited").count(), 2, "{block}");
    }
}

#[test]
fn after_an_error_the_methods_are_there_as_they_were_typed() {
    let item = "impl Accounts { #[audited(off)] pub fn get(&self) {} pub fn close(&self, account_id: u64) { self. } }";
    for args in [
        "",
        "entity = account",
        "entity = \"a.b\"",
        "entity = \"account\", event = \"a.b\"",
        "entity = \"account\", skp(a)",
    ] {
        let block = block(args, item).to_string();
        assert!(block.contains("pub fn close (& self , account_id : u64) { self . }"), "{block}");
        assert_eq!((block.matches("compile_error").count(), block.matches("audited (").count()), (1, 0), "{block}");
    }
}
