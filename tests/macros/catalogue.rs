//! The catalogue: which functions are in it, and what it states of each.

#![deny(warnings, clippy::all, clippy::pedantic)]
#![forbid(unsafe_code)]

use audit_runtime::catalogue::{AuditedFunction, FieldCapture};
use audit_runtime::testing::catalogue_of;
use insta::assert_snapshot;

/// Functions that no test calls.
#[allow(dead_code, clippy::pedantic, reason = "the catalogue has functions that are never called")]
mod desk {
    use audit_runtime::audited;
    use std::fmt::Debug;

    pub const SUBMITTED: &str = "order.submitted";

    pub struct Refused;

    impl std::fmt::Display for Refused {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("refused")
        }
    }

    impl From<audit_runtime::RecordError> for Refused {
        fn from(_: audit_runtime::RecordError) -> Self {
            Self
        }
    }

    #[audited(
        event = SUBMITTED, err = "order.rejected", entity = "order", id = |placed| *placed, err_id = 0_u64, actor = "broker",
        tenant = tenant, also(account = account, invoice = |_| 7_u64), skip(_unused), redact(note),
        personal(email), subject = account, fields(half = %quantity / 2, total = |placed| placed + 1), required, error = %,
    )]
    pub async fn submit(
        account: u64,
        quantity: u64,
        tenant: &str,
        note: &str,
        email: &str,
        _unused: u8,
    ) -> Result<u64, Refused> {
        Ok(quantity + tenant.len() as u64 + note.len() as u64 + email.len() as u64 + account)
    }

    #[audited(event = |n| if *n > 3 { "risk.high" } else { "risk.low" }, entity = kind, id = none, when = n > 1, only(?n))]
    pub fn assess(n: u64, kind: &'static str) -> u64 {
        n + kind.len() as u64
    }

    #[audited(event = "value.shown", id = none, intent)]
    pub fn show<T: Debug + serde::Serialize>(value: &T, #[cfg(test)] tested: u8, #[cfg(not(test))] absent: u8) {
        let _ = (format!("{value:?}"), tested);
    }

    #[cfg(not(test))]
    #[audited(event = "never.here", id = none)]
    pub fn never() {}

    pub struct Accounts(u64);

    #[audited(entity = "account", id = none, actor = "system", skip(secret_hint), result = skip)]
    impl Accounts {
        pub fn open(&self, name: &str, secret_hint: &str) -> u64 {
            self.0 + name.len() as u64 + secret_hint.len() as u64
        }

        #[audited(changes(self.0))]
        pub fn deposit(&mut self, cents: u64) {
            self.0 += cents;
        }
    }

    #[async_trait::async_trait]
    pub trait Store {
        async fn put(&self, key: &str);
    }

    #[async_trait::async_trait]
    impl Store for Accounts {
        #[audited(event = "key.put", id = none)]
        async fn put(&self, key: &str) {
            #[audited(event = "key.checked", id = none)]
            fn check(key: &str) -> bool {
                !key.is_empty()
            }
            check(key);
        }
    }

    pub mod nested {
        use sqlx::{Postgres, Transaction};

        #[audit_runtime::audited(event = "order.paid", tx = tx)]
        pub async fn pay(tx: &mut Transaction<'_, Postgres>, order_id: u64) -> Result<(), sqlx::Error> {
            let _ = (&tx, order_id);
            Ok(())
        }
    }
}

#[test]
fn every_function_is_in_it_once_with_what_it_records() {
    // Two uses of one generic function.
    desk::show(&1, 2);
    desk::show(&"one", 2);
    assert_snapshot!(catalogue_of(concat!(module_path!(), "::desk")));
}

#[test]
fn each_function_has_the_line_of_its_name_in_a_block_too() {
    let source = include_str!("catalogue.rs");
    for name in ["submit", "open", "deposit", "put", "check", "pay"] {
        let function = of(name);
        let line = source.lines().nth(function.line as usize - 1).unwrap();
        assert!(line.contains(&format!("fn {name}(")), "{name}: {line}");
        assert!(function.file.ends_with("tests/macros/catalogue.rs"), "{}", function.file);
    }
}

#[test]
fn it_survives_its_json() {
    let functions = audit_runtime::catalogue();
    let json = serde_json::to_string(&functions).unwrap();
    assert_eq!(serde_json::from_str::<Vec<AuditedFunction>>(&json).unwrap(), functions);
    // A program reads the catalogue of a newer one, and that of one that had less to say.
    let newer = r#"{"function": "f", "guarantee": "twice", "rule": 1, "fields":
        [{"name": "x", "source": "cloud", "capture": "hashed", "is_personal": true}]}"#;
    let read: AuditedFunction = serde_json::from_str(newer).unwrap();
    assert_eq!((read.fields[0].capture, read.line), (FieldCapture::Unknown, 0));
}

fn of(name: &str) -> AuditedFunction {
    let path = format!("{}::desk", module_path!());
    let functions = audit_runtime::catalogue();
    let is_it = |function: &AuditedFunction| {
        function.function.starts_with(&path) && function.function.ends_with(&format!("::{name}"))
    };
    functions.into_iter().find(is_it).unwrap_or_else(|| panic!("{name} is not in the catalogue"))
}
