//! A position in the order of arrival.

use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The first word of every position, for later forms.
const FORM: &str = "1";
/// Stands for what a part lacks.
const NONE: &str = "-";

/// A position in the order in which events arrived.
///
/// As a text, it is one line. It names the last event, and not a place in a file, so it stays valid
/// while events are pruned.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// The lineage whose batches are read, or none for batches of older versions of the schema.
    pub(super) lineage: Option<String>,
    /// The transaction of the last entry. Of older batches, their time in microseconds of PostgreSQL.
    pub(super) at: i64,
    /// The last entry: the batch, or the event that was stored later.
    pub(super) id: Uuid,
    /// The leaves of the entry that were read, if it has more.
    pub(super) leaves: Option<u32>,
    /// The lineages that were read before.
    pub(super) passed: Vec<String>,
}

/// The reason a text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid position; remove it to begin anew, and name the time from which events are read again")]
pub struct PositionError;

impl Position {
    /// Returns the position before the first event.
    #[must_use]
    pub fn beginning() -> Self {
        Self { lineage: None, at: i64::MIN, id: Uuid::nil(), leaves: None, passed: Vec::new() }
    }

    /// The beginning of a lineage, behind this position.
    pub(super) fn enter(&self, lineage: String) -> Self {
        let mut passed = self.passed.clone();
        passed.extend(self.lineage.clone());
        Self { lineage: Some(lineage), at: 0, id: Uuid::nil(), leaves: None, passed }
    }

    /// The same lineage, at another entry.
    pub(super) fn at(&self, at: i64, id: Uuid, leaves: Option<u32>) -> Self {
        Self { at, id, leaves, ..self.clone() }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lineage, at, id, leaves, passed } = self;
        write!(f, "{FORM} {} {at} {id} ", lineage.as_deref().unwrap_or(NONE))?;
        match leaves {
            Some(leaves) => write!(f, "{leaves}")?,
            None => f.write_str(NONE)?,
        }
        passed.iter().try_for_each(|lineage| write!(f, " {lineage}"))
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut words = text.trim_end().split(' ');
        let mut word = || words.next().filter(|word| !word.is_empty()).ok_or(PositionError);
        if word()? != FORM {
            return Err(PositionError);
        }
        let lineage = Some(word()?).filter(|lineage| *lineage != NONE).map(str::to_owned);
        let at = word()?.parse().map_err(|_| PositionError)?;
        let id = Uuid::try_parse(word()?).map_err(|_| PositionError)?;
        let leaves = match word()? {
            NONE => None,
            leaves => Some(leaves.parse().map_err(|_| PositionError)?),
        };
        Ok(Self { lineage, at, id, leaves, passed: words.map(str::to_owned).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_from_its_text() {
        let id = Uuid::from_u128(7);
        let in_lineage =
            Position::beginning().enter("71/1".into()).at(5_000_000_000, id, Some(12)).enter("71/2".into());
        for position in [Position::beginning(), Position::beginning().at(-5, id, None), in_lineage] {
            assert_eq!(position.to_string().parse(), Ok(position.clone()), "{position}");
            assert!(!position.to_string().contains('\n'));
        }
    }

    #[test]
    fn another_text_is_no_position() {
        for text in [
            "",
            "1",
            "2 - 0 00000000-0000-0000-0000-000000000000 -",
            "1 - x 00000000-0000-0000-0000-000000000000 -",
            "1 - 0 7 -",
        ] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text}");
        }
    }
}
