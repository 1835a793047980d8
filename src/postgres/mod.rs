//! A session with PostgreSQL: one connection, one statement at a time, each a transaction of its own.
//!
//! - `address`: a URL and what we read of it before the driver sees it;
//! - `tls`: what `sslmode` asks of the server's certificate;
//! - `session`: the connection, whose messages are driven by hand so that notices are seen;
//! - `error`: what went wrong, whether the statement may have been carried out, and what to do.
//!
//! It knows no table. Nothing here sends a cancel request: a cancelled COMMIT may answer success
//! without its standby. Every time-out is ours, and leaves it open what became of the statement.

mod address;
mod error;
mod session;
mod tls;

pub use address::{Address, SslMode};
pub use error::Error;
pub use session::{Answer, Session};
pub use tokio_postgres::types::{ToSql, Type};
pub use tokio_postgres::{Row, error::SqlState};
