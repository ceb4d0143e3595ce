//! Clients of PostgreSQL whose transactions take rows: each implements `InsertRow` by its feature.

#[cfg(feature = "diesel")]
mod diesel;
#[cfg(feature = "diesel-async")]
mod diesel_async;
#[cfg(feature = "sea-orm")]
mod sea_orm;
#[cfg(feature = "sqlx08")]
mod sqlx08;
#[cfg(feature = "postgres")]
mod sqlx09;
#[cfg(feature = "tokio-postgres")]
mod tokio_postgres;
