//! Keys: which types are ids, and that no two keys collide.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

fn key(text: &str) -> EntityId {
    EntityId::Key(text.into())
}

#[test]
fn a_text_is_an_id_only_with_its_hyphens() {
    let id = Uuid::from_u128(0x0193_5c2e_7c4a_7bbd_8f8e_2d6c_5b4a_3921);
    assert_eq!(id.to_string().to_entity_id(), EntityId::Id(id));
    assert_eq!(id.to_string().to_uppercase().to_entity_id(), EntityId::Id(id));
    let other_forms = [id.simple().to_string(), id.braced().to_string(), id.urn().to_string()];
    let almost = id.to_string().replacen('-', "0", 1);
    for text in other_forms.iter().map(String::as_str).chain([almost.as_str(), "", "B-1", "\0", " 42"]) {
        assert_eq!(text.to_entity_id(), key(text), "{text:?}");
    }
}

#[test]
fn integers_of_every_width_are_their_digits() {
    assert_eq!(i128::MIN.to_entity_id(), key("-170141183460469231731687303715884105728"));
    assert_eq!(u128::MAX.to_entity_id(), key("340282366920938463463374607431768211455"));
    assert_eq!((-1_i8).to_entity_id(), key("-1"));
    for number in [42_u8.to_entity_id(), 42_i16.to_entity_id(), 42_usize.to_entity_id(), "42".to_entity_id()] {
        assert_eq!(number, key("42"));
    }
    assert_eq!(std::num::NonZeroU64::MAX.to_entity_id(), key("18446744073709551615"));
}

#[test]
fn references_and_options_are_what_they_refer_to() {
    let id = Uuid::from_u128(7);
    assert_eq!((&&Some(&id)).to_entity_id(), EntityId::Id(id));
    assert_eq!(Some(Box::new(Arc::new(5))).to_entity_id(), key("5"));
    assert_eq!(None::<Uuid>.to_entity_id(), EntityId::None);
    assert_eq!(EntityId::Key("k".into()).to_entity_id(), key("k"));
}

#[test]
fn a_type_that_only_tells_its_id_shows_it_too() {
    struct Order(&'static str);
    impl IntoEntityId for Order {
        fn to_entity_id(&self) -> EntityId {
            self.0.to_entity_id()
        }
    }
    let mut shown = Vec::new();
    (Order("A/1"), 2).entity_ref(&mut |part| shown.extend(written(part)));
    assert_eq!(shown, [r"A\/1/2"]);
}

#[test]
fn tuples_are_joined_so_that_none_collide() {
    let id = Uuid::nil();
    assert_eq!(("DE", 7).to_entity_id(), key("DE/7"));
    assert_eq!((id, None::<u8>, "").to_entity_id(), key(&format!("{id}/\\-/")));
    assert_eq!((("a", "b"), "c").to_entity_id(), key(r"a\/b/c"));
    assert_eq!((1, 2, 3, 4, 5, 6, 7, 8).to_entity_id(), key("1/2/3/4/5/6/7/8"));
}

#[test]
fn a_key_that_no_column_should_hold_is_known_by_its_hash() {
    let long = "k".repeat(100_000);
    assert_eq!(bounded(&long).len(), 7 + 64);
    assert_ne!(bounded(&long), bounded(&format!("{long}k")));
    assert_eq!(bounded(&long[..MAX_KEY]), long[..MAX_KEY]);
    for key in [&long[..=MAX_KEY], "\0", "a\0b"] {
        assert!(bounded(key).starts_with("sha256:"), "{key:?}");
    }
    assert_ne!(bounded("a\0"), bounded("a\u{fffd}"));
}

#[test]
fn named_ids_are_those_of_the_recipe() {
    // python3 -c 'import uuid; print(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, "urn:audit:account"), "42"))'
    let expected = "f90f47ed-dc53-5424-89c8-eb6713903300";
    assert_eq!(named("account", "42").to_string(), expected);
}

#[test]
fn each_of_a_list_is_an_entity() {
    fn listed(entities: &(impl IntoTargets + ?Sized)) -> usize {
        let mut count = 0;
        entities.each_entity(&mut |_| count += 1);
        count
    }
    let numbers = vec![1, 2, 3];
    assert_eq!([listed(&numbers), listed(&&numbers), listed(&numbers[..]), listed(&[1, 2])], [3, 3, 3, 2]);
    assert_eq!([listed(&(1, "a")), listed("abc"), listed(&Some(5))], [1, 1, 1]);
    assert_eq!([listed(&HashSet::from([1])), listed(&Some(numbers)), listed(&None::<Vec<u8>>)], [1, 3, 0]);
}

proptest! {
    #[test]
    fn no_two_pairs_have_one_key(a in r"[/\\a-]{0,4}", b in r"[/\\a-]{0,4}", c in r"[/\\a-]{0,4}", d in r"[/\\a-]{0,4}") {
        let pairs = [(Some(a.clone()), b.clone()), (Some(c.clone()), d.clone()), (None, b.clone())];
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let same = pairs[one].to_entity_id() == pairs[other].to_entity_id();
            prop_assert_eq!(same, pairs[one] == pairs[other]);
        }
        prop_assert_ne!((&a, &b, &c).to_entity_id(), (&a, &b).to_entity_id());
    }
}
