//! Which nodes there are. Beats go over a session of their own, which waits for no standby
//! ([`crate::postgres::Address::without_waiting_for_commits`]): they say that a node is alive, and no more.

use tokio_postgres::types::Type;

use super::{PATIENCE, column, number};
use crate::postgres::{Error, Session};

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is known by to the others, as long as its process lives.
    pub node: String,
    /// Its name for people.
    pub name: String,
    /// Where other nodes reach it.
    pub address: String,
    /// Its program's version.
    pub version: String,
}

/// Says that a node is alive.
///
/// # Errors
/// The database's.
pub async fn beat(session: &mut Session, cluster: &str, node: &Node) -> Result<(), Error> {
    let statement = "INSERT INTO cuegate_node (cluster, node, name, address, version, beat)
        VALUES ($1, $2, $3, $4, $5, 1)
        ON CONFLICT (cluster, node) DO UPDATE
        SET name = $3, address = $4, version = $5, beat = cuegate_node.beat + 1, at = clock_timestamp()";
    let parameters = [
        (&cluster as _, Type::TEXT),
        (&node.node as _, Type::TEXT),
        (&node.name as _, Type::TEXT),
        (&node.address as _, Type::TEXT),
        (&node.version as _, Type::TEXT),
    ];
    session.run(statement, &parameters, PATIENCE).await?;
    Ok(())
}

/// Forgets nodes that have not beaten for a day, by the database's clock, and own nothing. One that lives
/// all the same is there again with its next beat.
///
/// # Errors
/// The database's.
pub async fn prune(session: &mut Session, cluster: &str) -> Result<(), Error> {
    let statement = "DELETE FROM cuegate_node AS n
        WHERE cluster = $1 AND at < clock_timestamp() - interval '1 day' AND NOT EXISTS (
            SELECT 1 FROM cuegate_lease AS l WHERE l.cluster = n.cluster AND l.node = n.node)";
    session
        .run(statement, &[(&cluster, Type::TEXT)], PATIENCE)
        .await?;
    Ok(())
}

/// Every node of the last day, with its last beat's number. Whether it moves is what counts, not the
/// time it was made at, which is of another clock.
///
/// # Errors
/// The database's.
pub async fn nodes(session: &mut Session, cluster: &str) -> Result<Vec<(Node, u64)>, Error> {
    let question = "SELECT node, name, address, version, beat FROM cuegate_node
        WHERE cluster = $1 ORDER BY node";
    let answer = session
        .run(question, &[(&cluster, Type::TEXT)], PATIENCE)
        .await?;
    let nodes = answer.rows.iter().map(|row| {
        let node = Node {
            node: column(row, 0)?,
            name: column(row, 1)?,
            address: column(row, 2)?,
            version: column(row, 3)?,
        };
        Ok((node, number(row, 4)?))
    });
    nodes.collect()
}
