use super::*;
use proptest::prelude::*;
use serde_json::json;
use serde_json::value::RawValue;

fn parsed(text: &str) -> Json {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

const ODD: &[&str] = &[
    "199.39999999999998",
    "9007199254740991.0",
    "340282366920938463463374607431768211455",
    "12345678901234567890.123456789",
    "1e400",
    "-1E-7",
    "0.10",
    "-0",
    "-0.0",
];

#[test]
fn every_number_keeps_its_text_through_every_form() {
    for text in ODD {
        let json = parsed(text);
        assert_eq!(json.to_string(), **text);
        assert_eq!(serde_json::to_string(&json).unwrap(), **text);
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Json>(text).unwrap()).unwrap(), **text);
        let inside: Json = serde_json::from_str(&format!("{{\"a\":[{text}]}}")).unwrap();
        assert_eq!(inside["a"][0].to_string(), **text);
        assert_eq!(parsed(&format!("{inside:#}")), inside);
    }
}

#[test]
fn the_name_of_raw_json_is_still_that_of_serde_json() {
    let raw = RawValue::from_string("1.50".into()).unwrap();
    let tree: Json = serde_json::from_str(&serde_json::to_string(&raw).unwrap()).unwrap();
    assert_eq!(tree.to_string(), "1.50");
    assert_eq!(serde_json::to_string(&parsed("1e400")).unwrap(), "1e400");
}

#[test]
fn values_are_compared_as_jsonb_compares_them() {
    assert_eq!(parsed("[1.0, {\"a\": 1e3}]"), parsed("[1, {\"a\": 1000}]"));
    assert_eq!(parsed("{\"a\":1,\"b\":2}"), parsed("{\"b\":2,\"a\":3,\"a\":1}"));
    assert_eq!(parsed("199.39999999999998"), 199.39999999999998);
    assert_ne!(parsed("199.39999999999998"), 199.4);
    assert_eq!(parsed("18446744073709551616"), u128::from(u64::MAX) + 1);
    assert_ne!(parsed("9007199254740993"), 9007199254740992.0);
    assert_eq!(parsed("0.1"), 0.1_f32);
    assert_eq!(f64::MAX, parsed(&format!("{}", f64::MAX)));
    assert_ne!(parsed("1e400"), f64::INFINITY);
    assert_ne!(Json::Null, f64::NAN);
    assert_eq!(parsed("\"a\""), "a");
    assert_eq!("a", parsed("\"a\""));
    assert_eq!(parsed("\"a\""), String::from("a"));
    assert_eq!(parsed("[1.5, null, {\"x\": \"y\"}]"), json!([1.5, null, {"x": "y"}]));
    assert_ne!(parsed("[1]"), json!([1, 2]));
    assert_ne!(parsed("{\"a\":1}"), json!({"b": 1}));
}

#[test]
fn a_value_of_serde_json_says_what_it_rounds() {
    assert_eq!(parsed("[18446744073709551615, -1, 0.5]").value(), json!([u64::MAX, -1, 0.5]));
    assert_eq!(parsed("1e400").value(), json!("1e400"));
    assert_eq!(Json::from(&json!({"a": [1, 0.1, null]})), json!({"a": [1, 0.1, null]}));
}

#[test]
fn any_depth_is_read_and_written_without_a_deep_stack() {
    for levels in [1, 127, 128, 129, 5_000, 200_000] {
        let text = nested(levels);
        let json = parsed(&text);
        assert_eq!(json.to_string(), text);
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
        assert_eq!(json.clone(), json);
        let read: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(read, json);
        let _ = json.value();
    }
    assert!(format!("{}1", "[".repeat(5_000)).parse::<Json>().is_err());
}

#[test]
fn halves_of_surrogate_pairs_are_an_error_or_repaired() {
    assert!(r#""\ud800""#.parse::<Json>().is_err());
    for (text, expected) in [
        (r#"{"a":"x\ud800y","b":1.50}"#, "{\"a\":\"x\u{fffd}y\",\"b\":1.50}"),
        (r#""\ud800\u0041""#, "\"\u{fffd}A\""),
        (r#""\udc00\ud83d\ude00""#, "\"\u{fffd}\u{1f600}\""),
        (r#""\ud800\ud83d\ude00""#, "\"\u{fffd}\u{1f600}\""),
    ] {
        assert_eq!(parse_repairing(text).unwrap().to_string(), expected);
    }
}

#[test]
fn an_error_names_the_byte_and_what_was_expected() {
    for (text, at, expected) in [
        ("", 0, "a value"),
        ("nul", 0, "null, true or false"),
        ("[1,]", 3, "a value"),
        ("[1 2]", 3, "a comma or a closing bracket"),
        ("{\"a\" 1}", 5, "a colon"),
        ("{1:2}", 1, "the name of a member"),
        ("01", 0, "a number without leading zeros"),
        ("1.", 2, "a digit"),
        ("1 2", 2, "the end of the text"),
        ("\"a\nb\"", 2, "no control character in a string"),
        ("\"a", 2, "a closing quotation mark"),
        ("\"\\x\"", 2, "an escape"),
        ("\"\\u12g4\"", 3, "four hexadecimal digits"),
    ] {
        assert_eq!(text.parse::<Json>().unwrap_err(), JsonError { at, expected }, "{text}");
    }
}

#[test]
fn other_formats_read_and_write_it_too() {
    // serde's own deserializers of values stand for formats that know nothing of serde_json.
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, MapDeserializer};
    let map = MapDeserializer::<_, Error>::new([("a", 1_u64), ("b", 2)].into_iter());
    let json = <Json as serde::Deserialize>::deserialize(map.into_deserializer()).unwrap();
    assert_eq!(json, json!({"a": 1, "b": 2}));
    let value = serde_json::to_value(parsed("{\"a\":[1.5,\"x\"]}")).unwrap();
    assert_eq!(value, json!({"a": [1.5, "x"]}));
    assert_eq!(serde_json::from_value::<Json>(value.clone()).unwrap(), value);
}

prop_compose! {
    fn number()(whole in "0|[1-9][0-9]{0,30}", fraction in "(\\.[0-9]{1,30})?", exponent in "([eE][+-]?[0-9]{1,3})?", minus: bool)
        -> String
    {
        format!("{}{whole}{fraction}{exponent}", if minus { "-" } else { "" })
    }
}

fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        number(),
        any::<String>().prop_map(|text| json!(text).to_string()),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|values| format!("[{}]", values.join(", "))),
            prop::collection::btree_map(any::<String>(), inner, 0..5).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{} : {value}", json!(name))).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_document_that_is_read_equals_the_written_one(text in document()) {
        let json = parsed(&text);
        let written = json.to_string();
        prop_assert_eq!(&parsed(&written), &json);
        prop_assert_eq!(&serde_json::to_string(&json).unwrap(), &written);
        prop_assert_eq!(serde_json::from_str::<Json>(&text).unwrap().to_string(), written.clone());
        // serde_json reads the same, but for numbers.
        let mut canonical = [Vec::new(), Vec::new()];
        for (text, out) in [&text, &written].into_iter().zip(&mut canonical) {
            let _ = crate::seal::canonical::Canonical::default().json(text.as_bytes(), out);
        }
        prop_assert_eq!(&canonical[0], &canonical[1]);
    }

    #[test]
    fn equal_numbers_have_equal_hashes(one in number(), zeros in 0..5_usize) {
        let other = match one.split_once(['e', 'E']) {
            None if one.contains('.') => format!("{one}{}", "0".repeat(zeros)),
            None if one.ends_with(['1', '2', '3', '4', '5', '6', '7', '8', '9']) => {
                format!("{one}{}e-{zeros}", "0".repeat(zeros))
            }
            None => one.clone(),
            Some(_) => one.clone(),
        };
        let hash = |text: &str| {
            let mut hasher = std::hash::DefaultHasher::new();
            parsed(text).hash(&mut hasher);
            hasher.finish()
        };
        prop_assert_eq!(parsed(&one), parsed(&other));
        prop_assert_eq!(hash(&one), hash(&other));
    }

    #[test]
    fn a_float_is_the_number_that_serde_json_writes(number: f64) {
        let text = serde_json::to_string(&number).unwrap();
        prop_assert_eq!(parsed(&text) == number, number.is_finite());
        prop_assert_eq!(Json::from(number).to_string(), text);
    }

    #[test]
    fn no_text_panics(text in "[\\[\\]{}\":,\\\\u0-9aeE+\\-. \n\u{1}ä]{0,40}") {
        let by_serde: Result<serde_json::Value, _> = serde_json::from_str(&text);
        let json = text.parse::<Json>();
        if by_serde.is_ok() {
            prop_assert!(json.is_ok(), "{}", text);
        }
        if let Ok(json) = json {
            prop_assert!(serde_json::from_str::<&RawValue>(&text).is_ok());
            prop_assert!(parse_repairing(&text).unwrap() == json);
        }
    }
}
