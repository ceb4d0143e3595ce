//! `#[audited]` on `impl` blocks and modules: which methods record what.

#![deny(warnings, clippy::all, clippy::pedantic)]

use audit_runtime::testing::Probe;
use audit_runtime::{Context, Outcome, audited};
use serde_json::json;

/// The events that calls record, each as its type, its entity and its key.
fn recorded(calls: impl FnOnce()) -> Vec<(String, String, Option<String>)> {
    let probe = Probe::new();
    let entered = probe.enter();
    calls();
    drop(entered);
    let events = probe.events().into_iter();
    events.map(|event| (event.event_type.clone(), event.entity_type.clone(), event.entity_key.clone())).collect()
}

fn event(event_type: &str, entity: &str, key: Option<&str>) -> (String, String, Option<String>) {
    (event_type.to_owned(), entity.to_owned(), key.map(str::to_owned))
}

#[derive(Default)]
struct Accounts {
    limit: u32,
    tenant: &'static str,
}

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

#[audited(
    entity = "account", prefix = "billing", id = account_id, tenant = self.tenant,
    methods(pub, sweep, !get_*), redact(note), personal(email), subject = format_args!("customer:{customer}"),
)]
impl Accounts {
    /// The most that an account may have.
    pub const MOST: u32 = 10;

    pub fn open(customer: u64, email: &str) -> u64 {
        customer + email.len() as u64
    }

    pub fn close(&self, account_id: u64, note: &str) -> Result<u32, Refused> {
        if note.is_empty() { Err(Refused) } else { Ok(self.sweep()) }
    }

    #[audited(event = "limit.raised", id = (account_id, "limit"), changes(self.limit))]
    pub fn raise(&mut self, account_id: u64, to: u32) {
        self.limit = to.min(Self::MOST);
    }

    pub fn get_limit(&self) -> u32 {
        self.limit
    }

    #[audited(off)]
    pub fn limit(&self, account_id: u64) -> u32 {
        self.limit * u32::from(account_id > 0)
    }

    fn sweep(&self) -> u32 {
        self.helper()
    }

    fn helper(&self) -> u32 {
        self.limit
    }
}

#[test]
fn public_methods_and_those_that_are_named_are_recorded() {
    let mut accounts = Accounts { limit: 3, tenant: "acme" };
    let events = recorded(|| {
        assert_eq!(Accounts::open(40, "ab"), 42);
        accounts.raise(42, 99);
        assert_eq!((accounts.get_limit(), accounts.limit(42)), (10, 10));
        assert_eq!(accounts.close(42, "by phone").unwrap(), 10);
        assert!(accounts.close(42, "").is_err());
    });
    assert_eq!(
        events,
        [
            event("billing.account.open", "account", None),
            event("limit.raised", "account", Some("42/limit")),
            event("billing.account.sweep", "account", None),
            event("billing.account.close", "account", Some("42")),
            event("billing.account.close", "account", Some("42")),
        ]
    );
}

#[test]
fn defaults_are_those_of_the_methods_that_have_what_they_name() {
    let mut accounts = Accounts { limit: 3, tenant: "acme" };
    let probe = Probe::new();
    let entered = probe.enter();
    Accounts::open(40, "ab");
    accounts.raise(42, 7);
    accounts.close(42, "").unwrap_err();
    drop(entered);
    let [opened, raised, closed] = &*probe.events() else { panic!("three events") };
    assert_eq!(
        opened.data,
        json!({"customer": 40, "email": {"$personal": "ab"}, "$subject": "customer:40", "result": 42})
    );
    assert_eq!((opened.tenant.as_deref(), raised.tenant.as_deref()), (None, Some("acme")));
    assert_eq!(raised.data["changes"], json!({"limit": {"from": 3, "to": 7}}));
    assert_eq!((closed.outcome, &closed.data["note"]), (Outcome::Error, &json!("[redacted]").into()));
}

trait Shop<T> {
    fn sell(&self, order_id: &str, what: T) -> u32;
    fn list(&self) -> u32;

    fn count(&self) -> u32 {
        self.list()
    }
}

impl<T> Shop<T> for Accounts
where
    T: serde::Serialize + Clone,
{
    fn sell(&self, _: &str, _: T) -> u32 {
        1
    }

    fn list(&self) -> u32 {
        2
    }
}

/// Keeps the `impl` generic over the type that it is for, too.
struct Counted<S>(S);

#[audited(entity = "order", methods(!list), result = skip)]
impl<T, S: Shop<T>> Shop<T> for Counted<S>
where
    T: for<'a> PartialEq<&'a str> + serde::Serialize,
{
    fn sell(&self, order_id: &str, what: T) -> u32 {
        self.0.sell(order_id, what) + self.list()
    }

    fn list(&self) -> u32 {
        self.0.list()
    }
}

#[test]
fn every_method_of_a_trait_impl_is_recorded() {
    let probe = Probe::new();
    let entered = probe.enter();
    let counted = Counted(Accounts::default());
    assert_eq!((counted.sell("o-7", "tea"), Shop::<&str>::count(&counted)), (3, 2));
    drop(entered);
    let sold = probe.only("order.sell");
    assert_eq!(
        (sold.entity_key.as_deref(), sold.data),
        (Some("o-7"), json!({"order_id": "o-7", "what": "tea"}).into())
    );
    assert_eq!(probe.events().len(), 1);
}

#[async_trait::async_trait]
trait Broker: Send + Sync {
    async fn submit(&self, order_id: u64, ticker: &str) -> Result<usize, Refused>;
    async fn cancel(self: Box<Self>, order_id: u64);
}

struct Above;
struct Below;

macro_rules! broker {
    ($name:ident, $($attribute:meta),+) => {
        $(#[$attribute])+
        impl Broker for $name {
            async fn submit(&self, order_id: u64, ticker: &str) -> Result<usize, Refused> {
                tokio::task::yield_now().await;
                if ticker.is_empty() { Err(Refused) } else { Ok(ticker.len()) }
            }

            async fn cancel(self: Box<Self>, order_id: u64) {
                tokio::task::yield_now().await;
                assert_eq!(order_id, 7);
            }
        }
    };
}

broker!(Above, audited(entity = "order", err = "order.refused"), async_trait::async_trait);
broker!(Below, async_trait::async_trait, audited(entity = "order", err = "order.refused"));

#[tokio::test]
async fn async_trait_may_stand_above_and_below() {
    for broker in [Box::new(Above) as Box<dyn Broker>, Box::new(Below)] {
        let probe = Probe::new();
        let calls = async {
            broker.submit(7, "AAPL").await.unwrap();
            broker.submit(7, "").await.unwrap_err();
            broker.cancel(7).await;
        };
        probe.scope(Context::new().actor("ann").scope(calls)).await;
        let events = probe.events();
        let seen: Vec<_> = events.iter().map(|event| (event.event_type.as_ref(), event.outcome)).collect();
        assert_eq!(
            seen,
            [("order.submit", Outcome::Ok), ("order.refused", Outcome::Error), ("order.cancel", Outcome::Ok)]
        );
        assert!(events.iter().all(|event| event.actor == "ann" && event.entity_key.as_deref() == Some("7")));
        assert_eq!(events[0].data, json!({"order_id": 7, "ticker": "AAPL", "result": 4}));
    }
}

/// Functions of a module, and not those inside of its types and modules.
#[audited(entity = "visit", actor = user, methods(pub, r#loop))]
mod visits {
    #![allow(clippy::must_use_candidate, reason = "they are as short as they can be")]

    pub(super) struct Visit(u64);

    impl Visit {
        pub(super) fn id(&self) -> u64 {
            self.0
        }
    }

    pub(super) mod inner {
        pub fn one() -> u64 {
            1
        }
    }

    pub(super) fn open(user: &str, visit_id: u64) -> u64 {
        let visit = Visit(inner::one());
        helper() + r#loop() + visit.id() * visit_id + user.len() as u64
    }

    fn helper() -> u64 {
        2
    }

    fn r#loop() -> u64 {
        3
    }
}

#[test]
fn functions_of_a_module_are_recorded() {
    let probe = Probe::new();
    let entered = probe.enter();
    assert_eq!(visits::open("ann", 7), 15);
    drop(entered);
    let opened = probe.only("visit.open");
    assert_eq!((opened.actor.as_str(), opened.entity_key.as_deref()), ("ann", Some("7")));
    let looped = probe.only("visit.loop");
    assert_eq!((looped.actor.as_str(), looped.entity_id, looped.causation_id), ("system", None, Some(opened.id)));
    assert_eq!(probe.events().len(), 2);
}

macro_rules! audited_item {
    ($entity:literal, $item:item) => {
        #[audited(entity = $entity, id = none)]
        $item
    };
}

struct Generated;

audited_item!("thing", impl Generated {
    pub fn make(&self) -> u8 {
        1
    }
});

#[test]
fn a_block_may_come_from_a_macro() {
    assert_eq!(recorded(|| assert_eq!(Generated.make(), 1)), [event("thing.make", "thing", None)]);
}

struct Conditional;

#[audited(entity = "thing", id = thing_id)]
impl Conditional {
    #[cfg(not(test))]
    pub fn choose(&self, thing_id: u64) -> Missing {}

    #[cfg(test)]
    pub fn choose(&self, thing_id: u64, #[cfg(not(test))] other: Missing) -> u64 {
        thing_id
    }
}

#[test]
fn conditions_of_methods_and_parameters_are_kept() {
    assert_eq!(recorded(|| assert_eq!(Conditional.choose(7), 7)), [event("thing.choose", "thing", Some("7"))]);
}
