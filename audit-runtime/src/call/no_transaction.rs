//! Stands for `tx` where the feature `postgres` is off: using it is an error that names the
//! feature.

use super::Call;
use std::convert::Infallible;

/// The argument of `tx`: without the feature, no type qualifies.
#[diagnostic::on_unimplemented(
    message = "`tx` needs the feature `postgres` of audit-runtime",
    label = "no connection to PostgreSQL, for the feature is off",
    note = "enable it in Cargo.toml: `audit-runtime = {{ .., features = [\"postgres\"] }}`"
)]
pub trait RowConnection {}

impl Call {
    /// Names the feature that `tx` needs.
    ///
    /// # Errors
    /// None.
    #[expect(clippy::unused_async, reason = "expanded code awaits it")]
    pub async fn finish_in<C: RowConnection>(&mut self, _: C) -> Result<(), Infallible> {
        Ok(())
    }
}
