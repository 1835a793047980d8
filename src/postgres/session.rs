//! One connection, whose messages are driven by hand.
//!
//! The driver's connection is meant to be spawned, and then drops notices. But a notice is all that
//! tells a commit that its standby has confirmed from one whose wait was cancelled.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Connection, Row, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Address;
use super::error::Error;
use super::tls;

type Driven = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// How often a statement that conflicted with another is sent again.
const CONFLICTS: u32 = 5;

/// What a statement answered.
#[derive(Debug)]
pub struct Answer {
    /// Its rows.
    pub rows: Vec<Row>,
    /// The commit is on this server, but the server stopped waiting for its standby: it may be lost
    /// with the server.
    pub unconfirmed: bool,
}

/// A session. Whoever gets [`Error::Lost`] drops it, and opens another one.
pub struct Session {
    client: Client,
    connection: Driven,
    server: String,
}

impl Session {
    /// Connects to the first of the servers that answers and is what the address asks for. Each
    /// has `patience`, from its name's resolution to the end of the login.
    ///
    /// # Errors
    /// What the last one said, or what is wrong with the address's files.
    pub async fn connect(address: &Address, patience: Duration) -> Result<Self, Error> {
        let tls = tls::connector(address)?;
        let mut last = Error::Settings("the database's URL names no server".to_owned());
        for (server, config) in address.each() {
            let attempt = tokio::time::timeout(patience, config.connect(tls.clone()));
            match attempt.await {
                Ok(Ok((client, connection))) => {
                    return Ok(Self {
                        client,
                        connection,
                        server,
                    });
                }
                Ok(Err(error)) => last = Error::connecting(&server, &error),
                Err(_) => {
                    let reason = format!("it does not answer within {patience:?}");
                    last = Error::Connect { server, reason };
                }
            }
        }
        Err(last)
    }

    /// The server that answered: host and port.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Carries out one statement, a transaction of its own, and waits for `patience` at most. One
    /// that the server refused because of another's is sent again within that time.
    ///
    /// # Errors
    /// [`Error::Lost`]: it may have been carried out, or still be. [`Error::Refused`]: it was not.
    pub async fn run(
        &mut self,
        statement: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        patience: Duration,
    ) -> Result<Answer, Error> {
        let until = Instant::now() + patience;
        let mut attempt = 1;
        loop {
            match timeout_at(until, self.once(statement, parameters)).await {
                Ok(Err(error)) if error.is_conflict() && attempt < CONFLICTS => attempt += 1,
                Ok(answer) => return answer,
                Err(_) => return Err(Error::Lost(format!("none within {patience:?}"))),
            }
        }
    }

    async fn once(
        &mut self,
        statement: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Answer, Error> {
        let connection = &mut self.connection;
        let mut answer = pin!(self.client.query_typed(statement, parameters));
        let mut unconfirmed = false;
        poll_fn(|context| {
            // First: a notice comes before the answer that it belongs to.
            loop {
                match connection.poll_message(context) {
                    Poll::Ready(Some(Ok(AsyncMessage::Notice(notice)))) => {
                        unconfirmed |= is_doubt(&notice);
                    }
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Error::lost(&error))),
                    Poll::Ready(None) | Poll::Pending => break,
                }
            }
            answer.as_mut().poll(context).map(|rows| {
                let rows = rows?;
                Ok(Answer { rows, unconfirmed })
            })
        })
        .await
    }
}

/// The notice of a commit whose wait for its standby was cancelled or whose session was ended: a
/// warning without a code of its own. Another warning would only make us ask once more.
fn is_doubt(notice: &DbError) -> bool {
    *notice.code() == SqlState::WARNING || notice.code().code() == "57P01"
}
