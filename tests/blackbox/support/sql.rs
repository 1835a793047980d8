//! Statements to a database, past every proxy.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// A session with one server.
pub struct Sql {
    runtime: Runtime,
    client: Client,
}

impl Sql {
    /// None: the server takes no session.
    pub fn connect(server: SocketAddr) -> Option<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let mut config = Config::new();
        config
            .host(server.ip().to_string())
            .port(server.port())
            .user("cuegate")
            .dbname("postgres")
            .connect_timeout(Duration::from_secs(5));
        let (client, connection) = runtime.block_on(config.connect(NoTls)).ok()?;
        runtime.spawn(connection);
        Some(Self { runtime, client })
    }

    /// The rows' columns as text. An error is one of the test.
    pub fn rows(&self, statement: &str) -> Vec<Vec<String>> {
        let answer = self.runtime.block_on(self.client.simple_query(statement));
        let answer = answer.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        let rows = answer.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| {
            let columns = (0..row.len()).map(|nth| row.get(nth).unwrap_or_default().to_owned());
            columns.collect()
        })
        .collect()
    }
}
