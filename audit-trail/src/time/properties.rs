use super::*;
use audit_runtime::__private::calendar;
use proptest::prelude::*;

const ZONES: [&str; 10] = [
    "Europe/Berlin",
    "America/St_Johns",
    "Asia/Kathmandu",
    "UTC",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "America/Havana",
    "Pacific/Apia",
    "Africa/Monrovia",
    "CET-1CEST,M3.5.0,M10.5.0/3",
];

fn zone(name: &str) -> Zone {
    Zone::named(name).unwrap()
}

#[test]
fn every_moment_is_shown() {
    for micros in [i64::MIN, i64::MAX, 0, -1, i64::MIN + 1, 253_402_207_200_000_000, -377_705_116_800_000_000] {
        for name in ZONES {
            let shown = zone(name).show(micros);
            assert_eq!(parse(&shown, i64::MAX, &Zone::utc(), Bound::Since), Ok(Moment::At(micros)), "{shown}");
        }
    }
    assert_eq!(zone("Europe/Berlin").show(i64::MIN), "290309-12-21 19:59:05.224192 +00:00 BC");
    assert_eq!(zone("Asia/Kathmandu").show(0), "1970-01-01 05:30:00.000000 +05:30");
    assert_eq!(zone("America/St_Johns").show(1), "1969-12-31 20:30:00.000001 -03:30");
}

/// Days join: what is before the first moment of a day belongs to an earlier day, in every zone.
#[test]
fn days_have_no_overlap_and_no_hole() {
    for name in ZONES {
        let zone = zone(name);
        for day in calendar::days(2010, 1, 1)..calendar::days(2030, 1, 1) {
            let (year, month, day) = calendar::date(day);
            let text = format!("{year}-{month:02}-{day:02}");
            let [since, until] =
                [Bound::Since, Bound::Until].map(|bound| parse(&text, i64::MAX, &zone, bound).unwrap());
            assert_eq!(since, until, "{text} in {name}");
            let Moment::At(micros) = since else { panic!("{since:?}") };
            let date = jiff::civil::date(year as i16, month as i8, day as i8);
            let [before, first] = [micros - 1, micros].map(|micros| zone.local(micros).unwrap().date());
            assert!(before < date && date <= first, "{text} in {name}");
        }
    }
}

/// Pieces of times in an order that nobody writes.
fn scraps() -> impl Strategy<Value = String> {
    const SCRAPS: &[&str] = &[
        "2026-05-04",
        "2026",
        "-",
        "+",
        ":",
        "T",
        "t",
        "Z",
        "03:02",
        "9",
        "am",
        "pm",
        "a",
        "an",
        "ago",
        "last",
        "next",
        "this",
        "monday",
        "week",
        "month",
        "year",
        "hour",
        "m",
        "M",
        "mo",
        "h",
        "BC",
        "at",
        "on",
        "noon",
        "midnight",
        "now",
        "today",
        "@",
        ".",
        ",",
        "/",
        "[",
        "]",
        "Europe/Berlin",
        "UTC",
        "+02:00",
        "-9999",
        "infinity",
        "99999999999",
        " ",
        " ",
        "é",
        "\u{0}",
    ];
    prop::collection::vec(prop::sample::select(SCRAPS), 0..8).prop_map(|words| words.concat()).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn shown_times_are_read_back(
        micros in prop_oneof![any::<i64>(), -80_000_000_000_000_000..80_000_000_000_000_000_i64, 0..4_000_000_000_000_000_i64],
        zone_name in prop::sample::select(&ZONES[..]),
    ) {
        let zone = zone(zone_name);
        let shown = zone.show(micros);
        for bound in [Bound::Since, Bound::Until] {
            prop_assert_eq!(parse(&shown, i64::MAX, &zone, bound), Ok(Moment::At(micros)), "{}", shown);
        }
        // Without the offset it is the same local time: between the two bounds, unless the year is
        // beyond jiff's.
        if let Some(local) = zone.local(micros).filter(|local| (-9998..=9998).contains(&local.year())) {
            let local = format!("{:0width$}-{:02}-{:02} {}", local.year(), local.month(), local.day(), local.time(),
                width = if local.year() < 0 { 5 } else { 4 });
            let [since, until] =
                [Bound::Since, Bound::Until].map(|bound| parse(&local, i64::MAX, &zone, bound).unwrap());
            prop_assert!(since <= Moment::At(micros) && Moment::At(micros) <= until, "{} {:?} {:?}", local, since, until);
        }
    }

    #[test]
    fn no_text_panics(text in prop_oneof![".{0,40}", scraps()], now in any::<i64>(), zone_name in prop::sample::select(&ZONES[..])) {
        for bound in [Bound::Since, Bound::Until] {
            if let Ok(moment) = parse(&text, now, &zone(zone_name), bound) {
                prop_assert!(bound == Bound::Until || moment == Moment::Infinity || moment <= Moment::At(now.saturating_add(SKEW)));
            }
        }
        let _ = Zone::named(&text);
    }

    #[test]
    fn lengths_never_lead_to_the_future(count in 0..100_000_u32, unit in prop::sample::select(&["s", "m", "h", "d", "w", "mo"][..]),
        now in 0..4_000_000_000_000_000_i64, zone_name in prop::sample::select(&ZONES[..])) {
        let text = format!("{count}{unit}");
        // A local time that is skipped, or comes twice, may be ahead by some hours, if the length
        // is zero.
        let parsed = parse(&text, now, &zone(zone_name), Bound::Since);
        prop_assert!(parsed.is_ok_and(|moment| moment <= Moment::At(now)), "{}", text);
    }
}
