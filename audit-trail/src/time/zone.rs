//! The time zone: where it comes from, and local time in it.

use super::{DAY, SECOND};
use audit_runtime::__private::calendar;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use std::path::Path;

const LOCALTIME: &str = "/etc/localtime";
const REMEDY: &str = "set TZ to a name such as Europe/Berlin, to UTC, or to rules such as \
                      CET-1CEST,M3.5.0,M10.5.0/3; unset it for the zone of this machine";

/// A time zone, and a name to head a list with.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    zone: TimeZone,
    name: String,
}

impl Zone {
    /// Returns the zone of `TZ`, or else of this machine, or UTC if that has none.
    ///
    /// A `TZ` that nobody can understand is an error: silently another zone means silently another
    /// time.
    pub(crate) fn system() -> Result<Self, String> {
        let Some(text) = std::env::var_os("TZ") else { return Self::machine() };
        let zone = text.to_str().and_then(Self::named);
        zone.ok_or_else(|| format!("TZ={} names an unknown time zone: {REMEDY}", text.display()))
    }

    /// Returns the zone that a value of `TZ` stands for: a name, POSIX rules, or the absolute path
    /// of a zone file.
    ///
    /// A colon may precede it. Nothing at all is UTC, as for every Unix program.
    pub(crate) fn named(text: &str) -> Option<Self> {
        let (colon, text) = text.strip_prefix(':').map_or((false, text), |text| (true, text));
        if text.is_empty() {
            return Some(Self::utc());
        }
        let rules = (!colon).then(|| TimeZone::posix(text).ok()).flatten();
        rules.map(Self::from).or_else(|| Self::known(zone_name(text))).or_else(|| Self::file(text))
    }

    /// Returns the zone of this name in the time zone database: that of the system, else the one in
    /// this program.
    pub(super) fn known(name: &str) -> Option<Self> {
        // A system may have a part of the names only: Debian keeps US/Eastern in a package of its
        // own.
        let zone = TimeZone::get(name).or_else(|_| TimeZoneDatabase::bundled().get(name));
        zone.ok().filter(|zone| !zone.is_unknown()).map(Self::from)
    }

    /// Returns the zone of a name in the time zone database, as someone else writes it: no other
    /// text reaches the file system.
    #[cfg(feature = "serve")]
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let is_safe = |part: &str| {
            let is_of_names = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
            !part.is_empty() && part.chars().all(is_of_names)
        };
        (name.len() <= 64 && name.split('/').all(is_safe)).then(|| Self::known(name)).flatten()
    }

    /// Returns UTC.
    pub(crate) fn utc() -> Self {
        Self { zone: TimeZone::UTC, name: "UTC".into() }
    }

    /// Returns the zone of a fixed offset in seconds, at most 25 hours.
    pub(super) fn fixed(seconds: i64) -> Option<Self> {
        let offset = i32::try_from(seconds).ok().and_then(|seconds| Offset::from_seconds(seconds).ok())?;
        Some(Self::from(TimeZone::fixed(offset)))
    }

    /// Returns the zone of this machine: that of `/etc/localtime`, or of the registry on Windows.
    fn machine() -> Result<Self, String> {
        if let Ok(zone) = TimeZone::try_system() {
            return Ok(Self::from(zone));
        }
        // A container may have the link, and no database that it could point to.
        let target = std::fs::read_link(LOCALTIME).ok();
        if let Some(zone) = target.as_deref().and_then(Path::to_str).and_then(|path| Self::known(zone_name(path))) {
            return Ok(zone);
        }
        if std::fs::symlink_metadata(LOCALTIME).is_err() {
            return Ok(Self::utc());
        }
        Err(format!("{LOCALTIME} cannot be read as a time zone: {REMEDY}"))
    }

    /// Reads a zone file. A file of a time zone database is known by its name.
    fn file(path: &str) -> Option<Self> {
        let path = Path::new(path).is_absolute().then(|| std::fs::canonicalize(path).ok()).flatten()?;
        if let Some(zone) = path.to_str().filter(|path| path.contains("zoneinfo/")).map(zone_name).and_then(Self::known)
        {
            return Some(zone);
        }
        let data = if path.is_file() { std::fs::read(&path).ok()? } else { return None };
        let zone = TimeZone::tzif(path.to_str()?, &data).ok()?;
        Some(Self { name: abbreviations(&zone), zone })
    }

    /// Returns its name: `Europe/Berlin`, `UTC`. A zone without a name has its abbreviations:
    /// `CET/CEST`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Formats a moment (microseconds since 1970-01-01T00:00:00Z) as local time:
    /// `2026-11-28 06:06:42.000000 +02:00`.
    ///
    /// Years before Christ end with ` BC`. Beyond the years 9999 BC to 9999 the time is UTC, with
    /// the offset `+00:00`.
    pub(crate) fn show(&self, micros: i64) -> String {
        let offset = self.offset(micros).unwrap_or(0);
        let local = i128::from(micros) + i128::from(offset * SECOND);
        let clock = i64::try_from(local.rem_euclid(i128::from(DAY))).unwrap_or(0);
        let days = i64::try_from(local.div_euclid(i128::from(DAY))).unwrap_or(0);
        let (year, month, day) = calendar::date(days);
        let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
        let (seconds, micros) = (clock / SECOND, clock % SECOND);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
        // Before there were zones every town had its own sun: Berlin is +00:53:28.
        let rest = match offset.abs() % 60 {
            0 => String::new(),
            seconds => format!(":{seconds:02}"),
        };
        format!(
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06} \
             {sign}{hours:02}:{minutes:02}{rest}{era}"
        )
    }

    /// Returns the offset from UTC at a moment, in seconds, or `None` beyond the years 9999 BC
    /// to 9999.
    pub(super) fn offset(&self, micros: i64) -> Option<i64> {
        let time = Timestamp::from_microsecond(micros).ok()?;
        Some(i64::from(self.zone.to_offset(time).seconds()))
    }

    /// Returns the local date and time of a moment, or `None` beyond the years 9999 BC to 9999.
    pub(super) fn local(&self, micros: i64) -> Option<DateTime> {
        Timestamp::from_microsecond(micros).ok().map(|time| self.zone.to_datetime(time))
    }

    /// Returns the moment of a local date and clock time (microseconds since midnight, up to
    /// 24:00:00).
    ///
    /// A time that comes twice is the earlier one, or the `later`. A skipped time is the first
    /// moment after the gap.
    pub(super) fn resolve(&self, date: Date, clock: i64, later: bool) -> Option<i64> {
        let date = if clock < DAY { date } else { date.tomorrow().ok()? };
        let nanosecond = i128::from(clock % DAY) * 1000;
        let local = date.to_datetime(Time::midnight());
        let local = local.checked_add(jiff::SignedDuration::from_nanos_i128(nanosecond)).ok()?;
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let time = match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => self.set_forward(ambiguous.later().ok()?)?,
            _ if later => ambiguous.later().ok()?,
            _ => ambiguous.earlier().ok()?,
        };
        Some(time.as_microsecond())
    }

    /// Returns when the clocks were set forward, seen from a moment soon after.
    fn set_forward(&self, soon_after: Timestamp) -> Option<Timestamp> {
        let end = Timestamp::from_microsecond(soon_after.as_microsecond() + 1).ok()?;
        self.zone.preceding(end).next().map(|transition| transition.timestamp())
    }
}

impl From<TimeZone> for Zone {
    fn from(zone: TimeZone) -> Self {
        let short = abbreviations(&zone);
        let name = match zone.iana_name() {
            // Etc/UTC, Zulu, Universal, ..
            Some(name) if short != "UTC" => name.to_owned(),
            _ => short,
        };
        Self { zone, name }
    }
}

/// Returns what follows `zoneinfo/` in a path, for `/usr/share/zoneinfo/Europe/Berlin` is known by
/// its name.
fn zone_name(path: &str) -> &str {
    path.rsplit_once("zoneinfo/").map_or(path, |(_, name)| name)
}

/// Returns the abbreviations of the year 2026: standard time first, `CET/CEST`.
fn abbreviations(zone: &TimeZone) -> String {
    // 2026-01-01 and 2026-07-01.
    let [winter, summer] = [1_767_225_600, 1_782_864_000].map(|second| {
        let time = Timestamp::from_second(second).unwrap_or_default();
        let info = zone.to_offset_info(time);
        (info.dst().is_dst(), info.abbreviation().to_owned())
    });
    let (standard, other) = if winter.0 { (summer, winter) } else { (winter, summer) };
    if standard.1 == other.1 { standard.1 } else { format!("{}/{}", standard.1, other.1) }
}
