//! Keys of subjects come back to a database that lacks them.

use crate::postgres::failure::Failure;
use crate::privacy::{KeyKeeper, WrappedKey, further_name};
use std::collections::HashSet;
use uuid::Uuid;

/// Gives a database the keys that it lacks of these, and returns the ids of those that were destroyed.
///
/// A subject may have got another key since the database went back. Then this one is kept beside it,
/// by a name that is forgotten with the subject. A key that was destroyed stays so.
///
/// # Errors
/// The keeper cannot be reached or does not allow it.
pub(crate) async fn bring_back<K: KeyKeeper + ?Sized>(
    keeper: &mut K,
    keys: &[WrappedKey],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    // Most often, all of them are there.
    let (others, refused) = offer(keeper, keys).await?;
    // A key that is refused is there by its further name, or destroyed.
    let further =
        |key: WrappedKey| WrappedKey { subject: further_name(&key.subject, &key.id.simple().to_string()), ..key };
    let further: Vec<WrappedKey> = others.into_iter().chain(refused).map(further).collect();
    let (_, destroyed) = offer(keeper, &further).await?;
    Ok(destroyed.into_iter().map(|key| key.id).collect())
}

/// Offers keys, and returns those whose subject has another one, and those that are refused.
async fn offer<K: KeyKeeper + ?Sized>(
    keeper: &mut K,
    keys: &[WrappedKey],
) -> Result<(Vec<WrappedKey>, Vec<WrappedKey>), sqlx::Error> {
    let (mut others, mut refused, mut parts) = (Vec::new(), Vec::new(), vec![keys]);
    while let Some(part) = parts.pop() {
        if part.is_empty() {
            continue;
        }
        match keeper.take(part).await {
            Ok(taken) => {
                let taken: HashSet<Uuid> = taken.iter().map(|key| key.id).collect();
                others.extend(part.iter().filter(|key| !taken.contains(&key.id)).cloned());
            }
            // One refuses all of them.
            Err(error) if Failure::of(&error) == Failure::RowRefused => match part {
                [key] => refused.push(key.clone()),
                _ => parts.extend(<[_; 2]>::from(part.split_at(part.len() / 2))),
            },
            Err(error) => return Err(error),
        }
    }
    Ok((others, refused))
}
