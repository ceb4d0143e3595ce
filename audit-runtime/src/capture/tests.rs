use super::mask::{MAX_DEPTH, Mask};
use super::{Fields, Rules, comparable, to_json};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

fn rules() -> Rules {
    Rules { limit: 400, mask: Mask::default() }
}

fn captured(capture: impl FnOnce(&mut Fields)) -> Value {
    let mut fields = Fields::new(Vec::new());
    capture(&mut fields);
    serde_json::from_slice(fields.end()).unwrap()
}

fn one(value: impl Serialize) -> Value {
    captured(|fields| fields.serialize(&rules(), "value", &value))["value"].take()
}

struct Failing;
impl Serialize for Failing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{Error, SerializeMap};
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("half", "written")?;
        Err(S::Error::custom("no more"))
    }
}

struct Panicking;
impl Serialize for Panicking {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("in serialize")
    }
}

#[test]
fn a_value_that_fails_or_panics_spoils_only_its_own_field() {
    let data = captured(|fields| {
        fields.serialize(&rules(), "a", &1);
        fields.serialize(&rules(), "b", &Failing);
        fields.serialize(&rules(), "c", &Panicking);
        fields.serialize(&rules(), "d", &f64::NAN);
    });
    assert_eq!(data, json!({"a": 1, "b": {"$error": "no more"}, "c": {"$error": "panicked: in serialize"}, "d": null}));
}

#[test]
fn a_field_over_the_limit_is_replaced_by_its_length_and_hash() {
    let long = "x".repeat(1000);
    let data = captured(|fields| {
        fields.serialize(&rules(), "long", &long);
        fields.serialize(&rules(), "short", &true);
        fields.serialize(&rules(), "many", &vec![1; 500]);
    });
    let hash = |json: String| hex::encode(Sha256::digest(json));
    assert_eq!(
        data,
        json!({
            "long": {"$truncated": 1002, "$sha256": hash(format!("\"{long}\""))},
            "short": true,
            "many": {"$truncated": 1001, "$sha256": hash(json!(vec![1; 500]).to_string())},
        })
    );
}

#[test]
fn a_value_beyond_the_limit_takes_no_memory() {
    let mut fields = Fields::new(Vec::new());
    fields.serialize(&rules(), "huge", &"x".repeat(10_000_000));
    assert!(fields.end().capacity() < 4096);
}

#[test]
fn display_and_debug_are_escaped() {
    let text = "a \"quoted\" \\ line\nand\ttab \u{1} \u{7f} ü";
    let data = captured(|fields| {
        fields.display(&rules(), "display", text);
        fields.debug(&rules(), "debug", &Some(1));
    });
    assert_eq!(data, json!({"display": text, "debug": "Some(1)"}));
}

#[test]
fn secrets_inside_values_are_masked_however_they_are_nested() {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Login {
        user: &'static str,
        api_key: [u8; 3],
        card: Card,
    }
    #[derive(Serialize)]
    enum Card {
        Known { card_number: u64, expires: &'static str },
        Token(BTreeMap<&'static str, u8>),
    }
    let login = |card| one(Login { user: "ann", api_key: [1, 2, 3], card });
    assert_eq!(
        login(Card::Known { card_number: 4111, expires: "01/30" }),
        json!({"user": "ann", "apiKey": "[redacted]",
               "card": {"Known": {"card_number": "[redacted]", "expires": "01/30"}}})
    );
    assert_eq!(
        login(Card::Token(BTreeMap::from([("password", 1)]))),
        json!({"user": "ann", "apiKey": "[redacted]", "card": {"Token": "[redacted]"}})
    );
    let nested = json!({"secret": {"pin": {"a": [{}]}, "b": 1}, "open": [{"pin": 1}, {"x": 2}]});
    assert_eq!(one(nested), json!({"secret": "[redacted]", "open": [{"pin": "[redacted]"}, {"x": 2}]}));
}

#[test]
fn nesting_ends_before_a_stack_or_a_reader_does() {
    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!(1), |inner, _| json!([inner]))
    }
    assert_eq!(one(nested(MAX_DEPTH)), nested(MAX_DEPTH));
    // (Dropping one of many more overflows the stack by itself.)
    let error = one(nested(1_000));
    assert!(error["$error"].as_str().unwrap().contains("100 arrays and objects"), "{error}");
}

#[test]
fn odd_values_are_kept_or_told() {
    assert_eq!(one(u128::MAX).to_string().parse::<f64>().unwrap(), u128::MAX as f64);
    assert_eq!(one(BTreeMap::from([(1, 'a'), (2, 'b')])), json!({"1": "a", "2": "b"}));
    assert_eq!(one(BTreeMap::from([(vec![1], 2)])), json!({"$error": "key must be a string"}));
    assert_eq!(one("a\0b"), json!("a\0b"));
}

#[test]
fn raw_json_is_masked_and_keeps_its_digits_and_the_rest_of_what_is_odd() {
    let raw = |text: &str| to_json(&serde_json::value::RawValue::from_string(text.into()).unwrap()).unwrap();
    for (given, expected) in [
        (r#"{"token": 1, "b": 1.50}"#, r#"{"b":1.50,"token":"[redacted]"}"#),
        (r#"{"price":  1.5000000000000000000001}"#, r#"{"price":1.5000000000000000000001}"#),
        (r#"{"a":"\ud800","b":[1e400,1e131071]}"#, "{\"a\":\"\u{fffd}\",\"b\":[1e400,1e131071]}"),
        (r#"[1e131072, -1e-16384]"#, r#"["1e131072","-1e-16384"]"#),
        ("1e999999999999999999999", r#""1e999999999999999999999""#),
        (r#"{"\u0000":1,"\\u0000":2}"#, r#"{"\u0000":1,"\\\\u0000":2}"#),
    ] {
        assert_eq!(raw(given), expected);
    }
}

#[test]
fn keys_that_differ_by_nul_alone_stay_apart() {
    let keys = ["a\0", "a\u{fffd}", "a\\u0000", "a\\\0", "a\\\\u0000", "a\\\\\0", "\0\0", "\\u0000\0", "\0\\u0000"];
    let map: BTreeMap<&str, usize> = keys.iter().copied().zip(0..).collect();
    // As the writer stores them.
    let json = crate::capture::nul::without_nul_escapes(&to_json(&map).unwrap()).into_owned();
    let stored: BTreeMap<String, usize> = serde_json::from_str(&json).unwrap();
    assert_eq!(stored.len(), keys.len(), "{json}");
}

#[test]
fn values_that_carry_their_name_beside_them_are_masked() {
    #[derive(Serialize)]
    #[serde(tag = "kind", content = "value")]
    enum Credential {
        Password(&'static str),
        Ticker(&'static str),
    }
    #[derive(Serialize)]
    struct Backwards {
        value: &'static str,
        name: &'static str,
    }
    #[derive(Serialize)]
    struct ApiKey(&'static str);
    #[derive(Serialize)]
    struct TokenAmount(f64);
    let redacted = "[redacted]";
    assert_eq!(
        one((Credential::Password("x"), Credential::Ticker("AAPL"))),
        json!([{"kind": "Password", "value": redacted}, {"kind": "Ticker", "value": "AAPL"}])
    );
    assert_eq!(
        one([Backwards { value: "x", name: "password" }, Backwards { value: "y", name: "ticker" }]),
        json!([{"value": redacted, "name": "password"}, {"value": "y", "name": "ticker"}])
    );
    assert_eq!(
        one(vec![("Authorization", "Bearer x"), ("Accept", "*/*")]),
        json!([["Authorization", redacted], ["Accept", "*/*"]])
    );
    assert_eq!(one(json!([["Cookie", "x"], ["Accept", "*/*"]])), json!([["Cookie", redacted], ["Accept", "*/*"]]));
    assert_eq!(one(json!({"changed": ["password", "email"]})), json!({"changed": ["password", "email"]}));
    assert_eq!(one(json!([{"key": "password", "value": 7}])), json!([{"key": "password", "value": redacted}]));
    assert_eq!(one((ApiKey("x"), TokenAmount(1.5))), json!([redacted, 1.5]));
}

#[test]
fn user_and_password_in_a_url_are_masked_in_any_text() {
    let url = "postgres://ann:hunter2@db/x";
    let data = captured(|fields| {
        fields.serialize(&rules(), "by_serde", &format!("cannot reach {url}: refused"));
        fields.display(&rules(), "by_display", &format_args!("{}://{}:{}@{}", "postgres", "ann", "hunter2", "db"));
        fields.debug(&rules(), "by_debug", &Some(url));
        fields.serialize(&rules(), "raw", &serde_json::value::RawValue::from_string(json!([url]).to_string()).unwrap());
    });
    assert!(!data.to_string().contains("hunter2"), "{data}");
    assert_eq!(data["by_debug"], "Some(\"postgres://[redacted]@db/x\")");
}

#[test]
fn just_the_keys_that_a_call_excepts_are_on_record() {
    #[derive(Serialize)]
    struct ApiKey(&'static str);
    #[derive(Serialize)]
    struct Order {
        token_in: &'static str,
        key: ApiKey,
        pair: (&'static str, &'static str),
        legs: Vec<BTreeMap<&'static str, &'static str>>,
        inner: BTreeMap<&'static str, &'static str>,
        credentials: BTreeMap<&'static str, &'static str>,
    }
    let tokens = || BTreeMap::from([("token", "USDC"), ("pin", "1")]);
    let order = Order {
        token_in: "USDC",
        key: ApiKey("x"),
        pair: ("password", "hunter2"),
        legs: vec![tokens(), tokens()],
        inner: BTreeMap::from([("token_in", "y")]),
        credentials: BTreeMap::from([("user", "ann"), ("raw", "hunter2")]),
    };
    let data = captured(|fields| {
        fields.field(&Rules { limit: 4_000, mask: Mask::default() }, "order", &mut |json| {
            json.except(&order, &["token_in", "legs.token", "credentials.user"])
        });
    });
    let leg = json!({"token": "USDC", "pin": "[redacted]"});
    assert_eq!(
        data["order"],
        json!({"token_in": "USDC", "key": "[redacted]", "pair": ["password", "[redacted]"], "legs": [leg, leg],
               "inner": {"token_in": "[redacted]"}, "credentials": "[redacted]"})
    );
}

#[test]
fn secrets_are_masked_wherever_their_names_and_urls_stand() {
    let url = "postgres://ann:hunter2@db/x";
    struct Failing;
    impl Serialize for Failing {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no answer of postgres://ann:hunter2@db/x"))
        }
    }
    let data = captured(|fields| {
        fields.serialize(&Rules { limit: 4_000, mask: Mask::default() }, "all", &json!([
            {url: 1}, {"data": "hunter2", "body": "hunter2", "key": "password"}, {"kind": "pin", "value": "hunter2"},
            {"type": "TokenMinted", "data": {"amount": 1}}, {"field": "password", "code": "too_short"},
        ]));
        fields.serialize(&rules(), "failing", &Failing);
    });
    assert!(!data.to_string().contains("hunter2"), "{data}");
    assert_eq!(data["all"][3]["data"], json!({"amount": 1}));
    assert_eq!(data["all"][4]["code"], "too_short");
    // However deep: what a handle masks is masked, or not on record.
    let mut rules = Rules { limit: usize::MAX, mask: Mask::default() };
    rules.mask.add("iban");
    let deep = format!("{{\"a\":{}{{\"iban\":\"DE89\"}}{}}}", "[".repeat(99), "]".repeat(99));
    for deep in [deep.clone(), format!("{}{deep}{}", "[".repeat(50), "]".repeat(50))] {
        assert!(!rules.apply_limits(&deep).contains("DE89"));
    }
}

#[test]
fn an_excepted_name_is_not_masked_inside_values() {
    let mut rules = rules();
    rules.mask.except("token_in");
    let data = captured(|fields| fields.serialize(&rules, "swap", &json!({"token_in": "USDC", "token": "x"})));
    assert_eq!(data["swap"], json!({"token_in": "USDC", "token": "[redacted]"}));
    assert_eq!(
        rules.apply_limits(r#"{"token_in":1,"p":199.39999999999998}"#),
        r#"{"p":199.39999999999998,"token_in":1}"#
    );
}

#[test]
fn sets_to_be_compared_have_one_order() {
    use std::collections::HashSet;
    #[derive(Serialize)]
    struct Holder(Vec<Option<HashSet<u32>>>);
    let numbers: Vec<u32> = (0..30).collect();
    let of = |numbers: &[u32]| {
        comparable(&Mask::NONE, &Holder(vec![Some(numbers.iter().copied().collect()), None])).unwrap()
    };
    assert_eq!(of(&numbers), of(&numbers.iter().rev().copied().collect::<Vec<_>>()));
    assert_eq!(comparable(&Mask::NONE, &vec![2, 1]).unwrap().to_string(), "[2,1]");
    assert_eq!(
        comparable(&Mask::NONE, &(f64::NAN, f32::INFINITY, 0.1_f32)).unwrap().to_string(),
        r#"["NaN","Infinity",0.1]"#
    );
}

#[test]
fn secrets_are_compared_without_being_told() {
    #[derive(Serialize)]
    enum Credential<'a> {
        Password(&'a str),
        Token { text: &'a str },
    }
    let of = |secret: &str| {
        let url = format!("redis://:{secret}@host");
        let variants = (Credential::Password(secret), Credential::Token { text: secret });
        let value = (json!({"password": secret}), [("pin", secret)], url, variants.0, variants.1);
        comparable(&Mask::NONE, &value).unwrap()
    };
    assert_eq!(of("hunter2"), of("hunter2"));
    for at in 0..5 {
        assert_ne!(of("hunter2")[at], of("hunter3")[at]);
    }
    assert!(!of("hunter2").to_string().contains("hunter2"));
}

#[test]
fn a_handles_own_rules_are_applied_to_data_that_is_json_already() {
    let mut rules = rules();
    rules.mask.add("iban");
    assert_eq!(rules.apply_limits(r#"{"a": 1.50}"#), r#"{"a":1.50}"#);
    assert_eq!(rules.apply_limits(r#"{"a":{"iban":1}}"#), r#"{"a":{"iban":"[redacted]"}}"#);
    assert!(rules.apply_limits(&format!(r#"{{"a":"{}"}}"#, "x".repeat(500))).starts_with(r#"{"$truncated":508,"#));
    let mut fields = Fields::new(Vec::new());
    fields.serialize(&rules, "iban", &"DE89");
    assert_eq!(*fields.end(), br#"{"iban":"[redacted]"}"#);
}

#[test]
fn no_fields_are_an_empty_object() {
    assert_eq!(captured(|_| ()), json!({}));
}
