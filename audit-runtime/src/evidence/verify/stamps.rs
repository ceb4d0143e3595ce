//! The time stamps of checkpoints.

use super::finding::{Finding, FindingKind, Report};
use crate::evidence::error::Failure;
use crate::evidence::stamp;
use crate::evidence::tsp::{self, Authorities, Existence};
use crate::postgres::copy::decode;
use sqlx::postgres::PgConnection;
use std::collections::VecDeque;

/// The most time stamps that are named if nothing is wrong with them: the newest.
const NAMED: usize = 20;

/// Verifies time stamps one after another, those of older checkpoints first.
#[derive(Debug)]
pub struct Stamps<'a> {
    authorities: Option<&'a Authorities>,
    problems: Vec<Finding>,
    newest: VecDeque<Finding>,
    verified: u64,
}

impl<'a> Stamps<'a> {
    /// Creates a verifier. Without authorities, a token must be signed by the certificate in it.
    #[must_use]
    pub fn new(authorities: Option<&'a Authorities>) -> Self {
        Self { authorities, problems: Vec::new(), newest: VecDeque::new(), verified: 0 }
    }

    /// Verifies the token of a checkpoint, whose note is `None` if it is gone.
    pub fn verify(&mut self, (id, authority, token): (i64, &str, &[u8]), note: Option<&str>) {
        let verified = match note {
            Some(note) => tsp::verify(token, note, self.authorities).map_err(|error| error.to_string()),
            None => Err("the checkpoint is gone".into()),
        };
        match verified {
            Ok(existence) => {
                self.verified += 1;
                self.newest.push_back(found(FindingKind::Existed, existed(id, &existence)));
                if self.newest.len() > NAMED {
                    self.newest.pop_front();
                }
            }
            Err(why) => {
                let text = format!("checkpoint {id}, time stamp of {authority}: {why}");
                self.problems.push(found(FindingKind::TimeStamp, text));
            }
        }
    }

    /// Returns the time stamps that do not verify, and the newest of the others.
    pub fn end(self, report: &mut Report) -> Vec<Finding> {
        report.time_stamps += self.verified;
        self.problems.into_iter().chain(self.newest).collect()
    }
}

/// Verifies each time stamp of the database.
pub(super) async fn verify(
    connection: &mut PgConnection,
    authorities: Option<&Authorities>,
    report: &mut Report,
) -> Result<Vec<Finding>, Failure> {
    if !stamp::are_known(connection).await? {
        return Ok(Vec::new());
    }
    let mut stamps = Stamps::new(authorities);
    let query = "SELECT s.checkpoint_id, s.authority, s.token, c.note FROM audit_timestamps s \
         LEFT JOIN audit_checkpoints c ON c.id = s.checkpoint_id ORDER BY s.checkpoint_id, s.created_at, s.authority";
    decode::rows(connection, query, |row| {
        let mut fields = row.fields();
        let (id, authority, token) = (fields.i64()?, fields.next()?, fields.next()?.unwrap_or_default());
        let authority = String::from_utf8_lossy(authority.unwrap_or_default());
        let note = fields.next()?.map(String::from_utf8_lossy);
        stamps.verify((id, &authority, token), note.as_deref());
        Ok::<_, Failure>(())
    })
    .await?;
    Ok(stamps.end(report))
}

fn found(kind: FindingKind, text: String) -> Finding {
    Finding::new(kind, None, None, text)
}

fn existed(id: i64, existence: &Existence) -> String {
    format!("checkpoint {id}, and with it every row that it covers, existed at {existence}")
}
