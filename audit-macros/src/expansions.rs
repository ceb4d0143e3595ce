//! Snapshots of the expansion of fourteen shapes. Half-typed code expands, too.

use crate::expand;
use proc_macro2::TokenStream;
use std::str::FromStr;

fn tokens(text: &str) -> TokenStream {
    TokenStream::from_str(text).unwrap()
}

fn expanded(args: &str, item: &str) -> String {
    let tokens = expand(tokens(args), tokens(item), false).unwrap_or_else(|error| panic!("{error}"));
    prettyplease::unparse(&syn::parse2(tokens).unwrap())
}

macro_rules! snapshots {
    ($($name:ident: $args:literal, $item:literal;)+) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(expanded($args, $item));
        }
    )+};
}

snapshots! {
    infallible: r#"event = "order.cancelled""#, "pub fn cancel(order_id: Uuid, reason: &str) {}";
    fallible: r#"event = "order.submitted", err = "order.rejected", actor = "broker""#,
        "fn submit(order_id: Uuid, ticker: &str) -> Result<u32, Refused> { send(ticker)?; Ok(7) }";
    asynchronous: r#"event = "order.submitted", skip(db)"#,
        "async fn submit(db: &Pool, order_id: Uuid) -> Result<Order, Refused> { db.insert(order_id).await }";
    late: r#"event = |v| if v.eligible { RISK_EVALUATED } else { RISK_REJECTED }, err = |e| e.event(), entity = "risk", id = |v| v.id,
             when = |v| v.checked, fields(reasons = |v| &v.reasons), result = skip"#,
        "fn evaluate(&self, ticker: &str) -> Result<Verdict, Error> { self.rules.apply(ticker) }";
    receiver_and_patterns: r#"event = "a.b", id = self.id, redact(password), only(?a, %b)"#,
        "fn call(mut self: Box<Self>, Pair(a, mut b): Pair, _: u8, _unused: u8, password: &str) -> Self { self }";
    constant_and_expressions: r#"event = ORDER_SUBMITTED, entity = kind(number), id = None::<Uuid>, actor = user.name, when = number > 3"#,
        "fn call(number: u8, user: &User) -> u8 { number }";
    never: r#"event = "a.b""#, "fn call(id: Uuid) -> ! { loop {} }";
    future: r#"event = "a.b""#, "fn call(id: Uuid) -> impl Future<Output = u8> + Send { prepare(); async move { 7 } }";
    boxed_future_of_async_trait: r#"event = "a.b""#,
        "fn call<'life0, 'async_trait>(&'life0 self, id: Uuid) -> Pin<Box<dyn Future<Output = Result<u8, E>> + Send + 'async_trait>>
         where 'life0: 'async_trait { Box::pin(async move { let id = id; let __ret: Result<u8, E> = { Ok(7) }; __ret }) }";
    guarantees: r#"event = "a.b", required, tx = tx, changes(position, self.mode)"#,
        "async fn call(&mut self, tx: &mut Transaction<'_, Postgres>, id: Uuid, position: &mut Position) -> Result<(), E> { self.apply(tx, position).await }";
    personal: r#"event = "a.b", personal(email, phone, result), subject = customer, fields(phone = %number)"#,
        "fn call(id: Uuid, customer: u32, email: &str, number: u8) -> Option<String> { None }";
    personal_of_several: r#"event = "a.b", tx = tx, personal(email, to = other, mode, actor), subject = |id| id, changes(self.mode)"#,
        "async fn call(&mut self, tx: &mut Transaction<'_, Postgres>, id: Uuid, email: &str, to: &str, other: u32) -> Result<u32, E> { Ok(7) }";
    further_entities_and_tenant: r#"event = "a.b", id = (from, number), also(account = from, account = to, invoice = |v| &v.invoices), tenant = self.tenant"#,
        "fn call(&self, from: u64, to: u64, number: u32) -> Booked { self.book(from, to) }";
    recorder_and_crate: r#"event = "a.b", recorder = &self.audit, crate = my::audit"#, "fn call(&self, id: Uuid) {}";
}

/// The tokens that the editor needs while somebody types: those of the body, all of them and in
/// their places.
#[test]
fn a_body_that_is_no_rust_yet_still_expands_with_its_tokens_in_place() {
    for body in [
        "{ let x = order_id. }",
        "{ let x = ; order_id.foo() . }",
        "{ if order_id { } else }",
        "{ self.desk.submit(order_id, ) ? . }",
        "{ match order_id { Some() => , _ } }",
        "{ return order_id +  }",
        "{ let Ok(x) = submit() else }",
        "{ fn }",
    ] {
        let item = tokens(&format!("async fn call(order_id: Uuid) -> Result<u8, E> {body}"));
        let typed = tokens(body).to_string();
        let expanded = expand(tokens(r#"event = "a.b", id = order_id"#), item, false).unwrap().to_string();
        assert!(expanded.contains(&typed), "{typed}\n{expanded}");
    }
}

#[test]
fn after_an_error_the_function_is_there_as_it_was_typed() {
    let item = "pub async fn call(&self, order_id: Uuid) -> Result<u8, E> { self.desk. }";
    for args in
        ["event = ", "event = \"a.b\", id = order.", "event = \"a.b\", skip(+)", "evnt = \"a.b\"", "event = \"a.b\" id"]
    {
        let error = expand(tokens(args), tokens(item), false).err().unwrap();
        let left = crate::fallback::item_with_error(tokens(item), &error).to_string();
        assert!(left.contains(&tokens(item).to_string()) && left.contains("compile_error"), "{left}");
    }
}
