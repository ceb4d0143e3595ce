use super::*;

/// A Wednesday.
const NOW: &str = "2026-11-25 15:30:20.25 +01:00";

fn zone(name: &str) -> Zone {
    Zone::named(name).unwrap()
}

fn at(text: &str) -> i64 {
    match parse(text, 0, &Zone::utc(), Bound::Until).unwrap() {
        Moment::At(micros) => micros,
        other => panic!("{other:?}"),
    }
}

/// Reads with `until`, which may be in the future, and shows it.
fn shown(text: &str, now: &str, zone_name: &str, bound: Bound) -> Result<String, String> {
    let zone = zone(zone_name);
    match parse(text, at(now), &zone, bound)? {
        Moment::At(micros) => Ok(zone.show(micros).replace(".000000", "")),
        Moment::Last(time) => Ok(time.to_string()),
        Moment::Infinity => Ok("infinity".into()),
        Moment::NegativeInfinity => Ok("-infinity".into()),
    }
}

fn both(now: &str, zone: &str, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        for variant in
            [(*text).to_owned(), text.to_uppercase().replace("M", "m"), format!("  {}\t", text.replace(' ', "  "))]
        {
            for bound in [Bound::Since, Bound::Until] {
                let shown = shown(&variant, now, zone, bound);
                assert_eq!(shown.as_deref(), Ok(*expected), "{variant:?} {bound:?} at {now} in {zone}");
            }
        }
    }
}

fn refused(text: &str, bound: Bound, why: &str) {
    let error = shown(text, NOW, "Europe/Berlin", bound).expect_err(text);
    assert!(error.contains(why), "{text:?}: {error}");
    assert!(error.contains(&format!("{text:?}")), "{error}");
    if !error.contains("in the future") {
        assert!(error.ends_with("write 2026-05-04T03:02:01Z, '2026-05-04 03:02', 2h or yesterday"), "{error}");
    }
}

#[test]
fn written_times() {
    let cases = [
        ("2026-05-04T03:02:01Z", "2026-05-04 05:02:01 +02:00"),
        ("2026-05-04T03:02:01.000123Z", "2026-05-04 05:02:01.000123 +02:00"),
        ("2026-05-04T03:02:01.123456789Z", "2026-05-04 05:02:01.123456 +02:00"),
        ("2026-05-04T03:02:01.9999999Z", "2026-05-04 05:02:01.999999 +02:00"),
        ("1969-12-31T23:59:59.9999999Z", "1970-01-01 00:59:59.999999 +01:00"),
        ("2026-05-04T03:02:01+02:00", "2026-05-04 03:02:01 +02:00"),
        ("2026-05-04", "2026-05-04 00:00:00 +02:00"),
        ("2026-5-4", "2026-05-04 00:00:00 +02:00"),
        ("2026/05/04", "2026-05-04 00:00:00 +02:00"),
        ("2026-05-04 10:00", "2026-05-04 10:00:00 +02:00"),
        ("2026-05-04T10:00", "2026-05-04 10:00:00 +02:00"),
        ("2026-05-04 10:00:05.5", "2026-05-04 10:00:05.500000 +02:00"),
        ("2026-05-04 10:00:05,250", "2026-05-04 10:00:05.250000 +02:00"),
        ("2026-05-04 at 9pm", "2026-05-04 21:00:00 +02:00"),
        ("2026-05-04 9:30 am", "2026-05-04 09:30:00 +02:00"),
        ("2026-05-04 12am", "2026-05-04 00:00:00 +02:00"),
        ("2026-05-04 12pm", "2026-05-04 12:00:00 +02:00"),
        ("2026-05-04 24:00", "2026-05-05 00:00:00 +02:00"),
        ("2026-05-04_06:06:42", "2026-05-04 06:06:42 +02:00"),
        ("2016-12-31 23:59:60Z", "2017-01-01 01:00:00 +01:00"),
        ("2016-12-31 23:59:60", "2017-01-01 00:00:00 +01:00"),
        ("2026-11-24 06:06:42+02", "2026-11-24 05:06:42 +01:00"),
        ("2026-11-24 06:06:42 +02", "2026-11-24 05:06:42 +01:00"),
        ("2026-11-24 06:06:42+0200", "2026-11-24 05:06:42 +01:00"),
        ("2026-11-24 06:06:42-05", "2026-11-24 12:06:42 +01:00"),
        ("2026-11-24 06:06:42 -05", "2026-11-24 12:06:42 +01:00"),
        ("2026-11-24 06:06:42-05:30", "2026-11-24 12:36:42 +01:00"),
        ("2026-11-24 06:06:42+5:30", "2026-11-24 01:36:42 +01:00"),
        ("2026-11-24 06:06-05", "2026-11-24 12:06:00 +01:00"),
        ("2026-11-24 06:06:42.5+02", "2026-11-24 05:06:42.500000 +01:00"),
        ("2026-05-04 03:02:01 UTC", "2026-05-04 05:02:01 +02:00"),
        ("2026-05-04 03:02:01 GMT", "2026-05-04 05:02:01 +02:00"),
        ("2026-05-04 03:02:01 Z", "2026-05-04 05:02:01 +02:00"),
        ("2026-05-04 UTC", "2026-05-04 02:00:00 +02:00"),
        ("2026-05-04Z", "2026-05-04 02:00:00 +02:00"),
        ("2026-05-04 +05:30", "2026-05-03 20:30:00 +02:00"),
        ("2026-11-24T06:06:42.000000+00:00", "2026-11-24 07:06:42 +01:00"),
        ("2026-11-24 06:06:42.000000 +02:00", "2026-11-24 05:06:42 +01:00"),
        ("2026-11-24 06:06 Asia/Kathmandu", "2026-11-24 01:21:00 +01:00"),
        ("2026-11-24 06:06[Asia/Kathmandu]", "2026-11-24 01:21:00 +01:00"),
        ("2026-11-24T06:06:00+05:45[Asia/Kathmandu]", "2026-11-24 01:21:00 +01:00"),
        ("2026-11-24 Asia/Kathmandu", "2026-11-23 19:15:00 +01:00"),
        ("@1764311202", "2025-11-28 07:26:42 +01:00"),
        ("@1764311202.5", "2025-11-28 07:26:42.500000 +01:00"),
        ("@0", "1970-01-01 01:00:00 +01:00"),
        ("@-1.5", "1970-01-01 00:59:58.500000 +01:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01 00:53:28 +00:53:28"),
        ("0001-01-01 00:00:00.000000 +00:53:28", "0001-01-01 00:00:00 +00:53:28"),
        ("0044-03-15 00:00:00+00 BC", "0044-03-15 00:53:28 +00:53:28 BC"),
        ("0044-03-15 BC", "0044-03-15 00:00:00 +00:53:28 BC"),
        ("0044-03-15T12:00:00.000000+00:00 BC", "0044-03-15 12:53:28 +00:53:28 BC"),
        ("-0043-03-15", "0044-03-15 00:00:00 +00:53:28 BC"),
        ("0000-12-31", "0001-12-31 00:00:00 +00:53:28 BC"),
        ("4714-11-24 00:00:00+00 BC", "4714-11-24 00:53:28 +00:53:28 BC"),
        ("-infinity", "-infinity"),
        ("infinity", "infinity"),
    ];
    both(NOW, "Europe/Berlin", &cases);
    for (text, expected) in [
        ("294247-01-10 04:00:54.775807+00", "294247-01-10 04:00:54.775807 +00:00"),
        ("+10000-01-01T00:00:00Z", "10000-01-01 00:00:00 +00:00"),
        ("9999-12-31 23:59:59+00", "9999-12-31 23:59:59 +00:00"),
        ("infinity", "infinity"),
    ] {
        assert_eq!(shown(text, NOW, "Europe/Berlin", Bound::Until).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn lengths_count_back_from_now() {
    let cases = [
        ("2h", "2026-11-25 13:30:20.250000 +01:00"),
        ("-2h", "2026-11-25 13:30:20.250000 +01:00"),
        ("2h ago", "2026-11-25 13:30:20.250000 +01:00"),
        ("2 hours", "2026-11-25 13:30:20.250000 +01:00"),
        ("an hour ago", "2026-11-25 14:30:20.250000 +01:00"),
        ("two hours ago", "2026-11-25 13:30:20.250000 +01:00"),
        ("30m", "2026-11-25 15:00:20.250000 +01:00"),
        ("30 minutes", "2026-11-25 15:00:20.250000 +01:00"),
        ("90 minutes ago", "2026-11-25 14:00:20.250000 +01:00"),
        ("last 30 minutes", "2026-11-25 15:00:20.250000 +01:00"),
        ("past two hours", "2026-11-25 13:30:20.250000 +01:00"),
        ("1h30m", "2026-11-25 14:00:20.250000 +01:00"),
        ("1h 30m ago", "2026-11-25 14:00:20.250000 +01:00"),
        ("1.5h", "2026-11-25 14:00:20.250000 +01:00"),
        ("250ms", "2026-11-25 15:30:20 +01:00"),
        ("0s", "2026-11-25 15:30:20.250000 +01:00"),
        ("3d", "2026-11-22 15:30:20.250000 +01:00"),
        ("3 days ago", "2026-11-22 15:30:20.250000 +01:00"),
        ("1d2h", "2026-11-24 13:30:20.250000 +01:00"),
        ("a week ago", "2026-11-18 15:30:20.250000 +01:00"),
        ("1w", "2026-11-18 15:30:20.250000 +01:00"),
        ("1mo", "2026-10-25 15:30:20.250000 +01:00"),
        ("2 months ago", "2026-09-25 15:30:20.250000 +02:00"),
        ("1y", "2025-11-25 15:30:20.250000 +01:00"),
        ("2 days ago at 14:30", "2026-11-23 14:30:00 +01:00"),
        ("a week ago midnight", "2026-11-18 00:00:00 +01:00"),
    ];
    both(NOW, "Europe/Berlin", &cases);
    // The shorter month, and the day that the clocks were set back: 24 hours are not a day.
    both("2026-03-31 12:00 +02:00", "Europe/Berlin", &[("1 month ago", "2026-02-28 12:00:00 +01:00")]);
    both(
        "2026-10-25 12:00 +01:00",
        "Europe/Berlin",
        &[("24h", "2026-10-24 13:00:00 +02:00"), ("1d", "2026-10-24 12:00:00 +02:00")],
    );
    // In the doubled hour elapsed time does not stumble.
    both(
        "2026-10-25 01:30Z",
        "Europe/Berlin",
        &[("1h", "2026-10-25 02:30:00 +02:00"), ("0h", "2026-10-25 02:30:00 +01:00")],
    );
    both("2028-02-29 12:00Z", "UTC", &[("1y", "2027-02-28 12:00:00 +00:00")]);
}

#[test]
fn words_are_the_past() {
    let cases = [
        ("now", "2026-11-25 15:30:20.250000 +01:00"),
        ("today", "2026-11-25 00:00:00 +01:00"),
        ("midnight", "2026-11-25 00:00:00 +01:00"),
        ("noon", "2026-11-25 12:00:00 +01:00"),
        ("yesterday", "2026-11-24 00:00:00 +01:00"),
        ("yesterday 14:30", "2026-11-24 14:30:00 +01:00"),
        ("yesterday noon", "2026-11-24 12:00:00 +01:00"),
        ("14:30 yesterday", "2026-11-24 14:30:00 +01:00"),
        ("today at 9:00", "2026-11-25 09:00:00 +01:00"),
        ("14:30", "2026-11-25 14:30:00 +01:00"),
        ("14:30 UTC", "2026-11-25 15:30:00 +01:00"),
        ("14:30Z", "2026-11-25 15:30:00 +01:00"),
        ("9am", "2026-11-25 09:00:00 +01:00"),
        ("9 am", "2026-11-25 09:00:00 +01:00"),
        ("monday", "2026-11-23 00:00:00 +01:00"),
        ("mon", "2026-11-23 00:00:00 +01:00"),
        ("on friday", "2026-11-20 00:00:00 +01:00"),
        ("monday 09:00", "2026-11-23 09:00:00 +01:00"),
        ("on monday at 9pm", "2026-11-23 21:00:00 +01:00"),
        ("wednesday", "2026-11-25 00:00:00 +01:00"),
        ("last wednesday", "2026-11-18 00:00:00 +01:00"),
        ("last monday", "2026-11-23 00:00:00 +01:00"),
        ("sunday", "2026-11-22 00:00:00 +01:00"),
        ("this week", "2026-11-23 00:00:00 +01:00"),
        ("last week", "2026-11-16 00:00:00 +01:00"),
        ("this month", "2026-11-01 00:00:00 +01:00"),
        ("last month", "2026-10-01 00:00:00 +02:00"),
        ("this year", "2026-01-01 00:00:00 +01:00"),
        ("last year", "2025-01-01 00:00:00 +01:00"),
        ("this hour", "2026-11-25 15:00:00 +01:00"),
        ("today UTC", "2026-11-25 01:00:00 +01:00"),
        ("today Asia/Kathmandu", "2026-11-24 19:15:00 +01:00"),
    ];
    both(NOW, "Europe/Berlin", &cases);
    // It is Thursday in Kathmandu already.
    both(
        "2026-11-25 20:00Z",
        "Europe/Berlin",
        &[("today Asia/Kathmandu", "2026-11-25 19:15:00 +01:00"), ("today", "2026-11-25 00:00:00 +01:00")],
    );
    for (text, expected) in [
        ("tomorrow", "2026-11-26 00:00:00 +01:00"),
        ("tomorrow 9am", "2026-11-26 09:00:00 +01:00"),
        ("next wednesday", "2026-12-02 00:00:00 +01:00"),
        ("next monday", "2026-11-30 00:00:00 +01:00"),
        ("next week", "2026-11-30 00:00:00 +01:00"),
        ("next month", "2026-12-01 00:00:00 +01:00"),
        ("23:00", "2026-11-25 23:00:00 +01:00"),
        ("2027-01-01", "2027-01-01 00:00:00 +01:00"),
    ] {
        assert_eq!(shown(text, NOW, "Europe/Berlin", Bound::Until).as_deref(), Ok(expected), "{text}");
        refused(text, Bound::Since, &format!("in the future: it means {}", expected.replace(" +", ".000000 +")));
    }
}

#[test]
fn clocks_of_two_machines_differ_by_some_seconds() {
    let ahead = |text: &str| shown(text, NOW, "Europe/Berlin", Bound::Since);
    assert!(ahead("2026-11-25 15:35:00+01").is_ok());
    assert!(ahead("2026-11-25 15:36:00+01").is_err());
    assert!(ahead("15:31").is_err());
}

#[test]
fn clocks_set_back_and_forward() {
    for (zone, text, since, until) in [
        ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 02:30:00 +02:00", "2026-10-25 02:30:00 +01:00"),
        ("Europe/Berlin", "2026-10-25 02:30+01", "2026-10-25 02:30:00 +01:00", "2026-10-25 02:30:00 +01:00"),
        ("Europe/Berlin", "2026-10-25 03:00", "2026-10-25 03:00:00 +01:00", "2026-10-25 03:00:00 +01:00"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25 02:30", "2026-10-25 02:30:00 +02:00", "2026-10-25 02:30:00 +01:00"),
        ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-05 01:45:00 +11:00", "2026-04-05 01:45:00 +10:30"),
        // The day begins once, also where its first hour comes twice.
        ("America/Havana", "2026-11-01", "2026-11-01 00:00:00 -04:00", "2026-11-01 00:00:00 -04:00"),
        ("America/Havana", "2026-11-01 00:00", "2026-11-01 00:00:00 -04:00", "2026-11-01 00:00:00 -05:00"),
        ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 03:00:00 +02:00", "2026-03-29 03:00:00 +02:00"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29 02:30", "2026-03-29 03:00:00 +02:00", "2026-03-29 03:00:00 +02:00"),
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-04 02:30:00 +11:00", "2026-10-04 02:30:00 +11:00"),
        ("Africa/Cairo", "2026-04-24", "2026-04-24 01:00:00 +03:00", "2026-04-24 01:00:00 +03:00"),
        ("Africa/Cairo", "2026-04-24 00:30", "2026-04-24 01:00:00 +03:00", "2026-04-24 01:00:00 +03:00"),
        ("America/Santiago", "2026-09-06", "2026-09-06 01:00:00 -03:00", "2026-09-06 01:00:00 -03:00"),
        ("America/Havana", "2026-03-08", "2026-03-08 01:00:00 -04:00", "2026-03-08 01:00:00 -04:00"),
        ("Asia/Beirut", "2026-03-29", "2026-03-29 01:00:00 +03:00", "2026-03-29 01:00:00 +03:00"),
        ("Pacific/Apia", "2011-12-30", "2011-12-31 00:00:00 +14:00", "2011-12-31 00:00:00 +14:00"),
        ("Pacific/Apia", "2011-12-30 12:00", "2011-12-31 00:00:00 +14:00", "2011-12-31 00:00:00 +14:00"),
        // A gap of 44 minutes and 30 seconds, to an offset of whole minutes.
        ("Africa/Monrovia", "1972-01-07", "1972-01-07 00:44:30 +00:00", "1972-01-07 00:44:30 +00:00"),
    ] {
        for (bound, expected) in [(Bound::Since, since), (Bound::Until, until)] {
            assert_eq!(shown(text, NOW, zone, bound).as_deref(), Ok(expected), "{text} {bound:?} in {zone}");
        }
    }
    let (now, zone) = ("2026-04-24 12:00 +03:00", "Africa/Cairo");
    both(now, zone, &[("today", "2026-04-24 01:00:00 +03:00"), ("midnight", "2026-04-24 01:00:00 +03:00")]);
    both("2026-10-26 02:30 +01:00", "Europe/Berlin", &[("2h", "2026-10-26 00:30:00 +01:00")]);
    let day_ago = |bound| shown("1d", "2026-10-26 02:30 +01:00", "Europe/Berlin", bound);
    assert_eq!(day_ago(Bound::Since).as_deref(), Ok("2026-10-25 02:30:00 +02:00"));
    assert_eq!(day_ago(Bound::Until).as_deref(), Ok("2026-10-25 02:30:00 +01:00"));
}

#[test]
fn unclear_times_are_refused_with_words() {
    for (text, why) in [
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("5", "may be a year, a date or seconds"),
        ("2026", "may be a year, a date or seconds"),
        ("20261128", "may be a year, a date or seconds"),
        ("1764311202", "@1764311202"),
        ("2026 UTC", "may be a year"),
        ("05/04/2026", "the order of day, month and year"),
        ("13/04/2026", "the order of day, month and year"),
        ("5.4.2026", "the order of day, month and year"),
        ("05-04-2026", "the order of day, month and year"),
        ("26-05-04", "write the year first"),
        ("05/04/2026 03:02", "the order of day, month and year"),
        ("2026-05", "a date has a year, a month and a day"),
        ("2026-13-01", "month 13 does not exist"),
        ("2026-00-01", "month 0 does not exist"),
        ("2026-02-30", "that month ends with day 28"),
        ("2026-02-30T00:00:00Z", "that month ends with day 28"),
        ("2026-04-31", "that month ends with day 30"),
        ("2026-05-00", "that month ends with day 31"),
        ("1900-02-29", "that month ends with day 28"),
        ("2026-05-04 25:00", "not on the clock"),
        ("2026-05-04 24:01", "not on the clock"),
        ("2026-05-04 03:60", "not on the clock"),
        ("2026-05-04 03:02:61", "not on the clock"),
        ("2026-05-04 03:02:01.", "not on the clock"),
        ("2026-05-04 13pm", "not on the clock"),
        ("2026-05-04 03", "not a clock time"),
        ("2026-05-04T03", "not a clock time"),
        ("2026-05-04 03:02 CET", "cet may be one of several zones"),
        ("2026-05-04 03:02 EST", "est may be one of several zones"),
        ("2026-05-04 03:02 Mars/Base", "the time zone \"mars/base\" is unknown"),
        ("2026-05-04 03:02+99", "not on the clock"),
        ("2026-05-04 03:02+02:60", "not on the clock"),
        ("2026-11-24T06:06:00+02:00[Asia/Kathmandu]", "in Asia/Kathmandu that is 2026-11-24 09:51:00"),
        ("0000-01-01 BC", "before the year 1 comes 1 BC"),
        ("-0044-01-01 BC", "negative or BC"),
        ("monday BC", "only a date can be BC"),
        ("12026-05-04", "a year beyond 9999 needs an offset"),
        ("300000-01-01Z", "further from 1970"),
        ("30M", "M may be minutes or months"),
        ("30 M ago", "M may be minutes or months"),
        ("+2h", "counts back from now"),
        ("-2h ago", "counts back from now"),
        ("last hour", "may mean several times"),
        ("last night", "may mean several times"),
        ("in 2 hours", "neither a date, a clock time nor a length"),
        ("2 hours from now", "neither a date"),
        ("the day before", "neither a date"),
        ("2 days 14:30:00 15:00", "neither a date"),
        ("gestern", "neither a date"),
        ("montag", "neither a date"),
        ("-05", "neither a date"),
        ("utc", "neither a date"),
        ("99999999999999999999y", "neither a date"),
        ("15000y", "before the year 9999 BC"),
        ("@", "after @ belong"),
        ("@1e9", "after @ belong"),
        ("@1764311202 UTC", "after @ belong"),
        ("@99999999999999999", "after @ belong"),
        ("1\u{202e}h", "neither a date"),
    ] {
        refused(text, Bound::Since, why);
        refused(text, Bound::Until, why);
    }
}

#[test]
fn zones_are_found_or_refused() {
    for (text, name) in [
        ("", "UTC"),
        (":", "UTC"),
        ("UTC", "UTC"),
        ("UTC0", "UTC"),
        ("Etc/UTC", "UTC"),
        ("Zulu", "UTC"),
        ("Europe/Berlin", "Europe/Berlin"),
        (":Europe/Berlin", "Europe/Berlin"),
        ("/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        (":/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "CET/CEST"),
        ("AEST-10AEDT,M10.1.0,M4.1.0/3", "AEST/AEDT"),
        ("EST5EDT", "EST5EDT"),
        ("US/Eastern", "US/Eastern"),
        ("<+0330>-3:30", "+0330"),
        ("Etc/GMT+5", "Etc/GMT+5"),
    ] {
        assert_eq!(Zone::named(text).as_ref().map(Zone::name), Some(name), "{text}");
    }
    for bad in
        ["bad", ":bad", "Europe/Berlim", "CET-1CEST", "/etc/passwd", "/nowhere", "../../etc/passwd", "Etc/Unknown", " "]
    {
        assert!(Zone::named(bad).is_none(), "{bad}");
    }
}
