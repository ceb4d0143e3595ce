//! Keys of subjects come back to a database that lacks them.

use crate::postgres::failure::Failure;
use crate::privacy::{KeyKeeper, WrappedKey, further_name};

/// Gives a database the keys that it lacks of these.
///
/// A subject may have got another key since the database went back. Then this one is kept beside it,
/// by a name that is forgotten with the subject. A key that was destroyed stays so.
///
/// # Errors
/// The keeper cannot be reached or does not allow it.
pub(crate) async fn bring_back<K: KeyKeeper + ?Sized>(keeper: &mut K, keys: &[WrappedKey]) -> Result<(), sqlx::Error> {
    if keys.is_empty() {
        return Ok(());
    }
    // Most often, all of them are there.
    let lacking = match keeper.take(keys).await {
        Ok(taken) => {
            let has = |key: &&WrappedKey| !taken.iter().any(|taken| taken.id == key.id);
            keys.iter().filter(has).collect()
        }
        Err(error) if Failure::of(&error) == Failure::RowRefused => keys.iter().collect::<Vec<_>>(),
        Err(error) => return Err(error),
    };
    for key in lacking {
        bring_one_back(keeper, key).await?;
    }
    Ok(())
}

async fn bring_one_back<K: KeyKeeper + ?Sized>(keeper: &mut K, key: &WrappedKey) -> Result<(), sqlx::Error> {
    let further = further_name(&key.subject, &key.id.simple().to_string());
    for subject in [&key.subject, &further] {
        let offer = [WrappedKey { subject: subject.clone(), ..key.clone() }];
        match keeper.take(&offer).await {
            Ok(taken) if taken.iter().all(|taken| taken.id != key.id) => {}
            // It is there already, by another name or destroyed.
            Err(error) if Failure::of(&error) == Failure::RowRefused => return Ok(()),
            taken => return taken.map(drop),
        }
    }
    Ok(())
}
