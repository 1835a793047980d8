//! `cuegate cluster move`: another node gets an account, in order.

use std::time::{Duration, Instant};

use super::{Configuration, Seen, connect, refused};
use crate::cli::{Error, output};
use crate::cluster::{self, Key, Lease};

/// How long that may take: the owner awaits its calls.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Carries it out, and waits until another node has the account.
pub(super) async fn move_account(
    configuration: &Configuration,
    account: String,
    region: String,
    to: Option<&str>,
) -> Result<(), Error> {
    let (settings, address) = configuration.read()?;
    let mut session = connect(&address).await?;
    cluster::check_version(&mut session)
        .await
        .map_err(refused)?;
    let key = Key {
        cluster: settings.cluster.name.clone(),
        account,
        region,
    };
    let nodes = Seen::of(&mut session, &key.cluster).await?;
    let lease = cluster::read(&mut session, &key).await.map_err(refused)?;
    let (epoch, owner) = lease
        .as_ref()
        .and_then(|lease| Some((lease.epoch, lease.holder.as_ref()?.node.clone())))
        .ok_or_else(|| Error::Refused("no node owns that account in that region".to_owned()))?;
    let to = successor(&nodes, &owner, to)?;
    let began = Instant::now();
    let asked = cluster::ask_to_move(&mut session, &key, epoch, to).await;
    if !asked.map_err(refused)? {
        let why = "the account has changed its owner at this moment; look who has it";
        return Err(Error::Refused(why.to_owned()));
    }
    while began.elapsed() < PATIENCE {
        let lease = cluster::read(&mut session, &key).await.map_err(refused)?;
        if let Some(Lease {
            epoch: now,
            holder: Some(holder),
            ..
        }) = lease
            && now > epoch
        {
            let (from, to) = (nodes.name_of(&owner), nodes.name_of(&holder.node));
            let took = began.elapsed().as_secs_f64();
            return Ok(output::line(&format!(
                "{} {} went from {from} to {to} in {took:.1} s",
                key.account, key.region
            ))?);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let why = "no other node has taken the account yet: `cuegate cluster status` shows who has it";
    Err(Error::Refused(why.to_owned()))
}

/// The name in the database of the node that is to have the account; empty: any other.
fn successor<'a>(nodes: &'a Seen, owner: &str, to: Option<&str>) -> Result<&'a str, Error> {
    let mut others = nodes.living.iter().filter(|node| node.node != owner);
    let Some(to) = to else {
        let other = others.next().map(|_| "");
        return other.ok_or_else(|| Error::Refused("no other node lives".to_owned()));
    };
    let found = others.find(|node| node.name == to);
    let found = found.map(|node| node.node.as_str());
    found.ok_or_else(|| {
        let has_it = nodes.name_of(owner) == to;
        let what = if has_it {
            "has the account already"
        } else {
            "does not live"
        };
        Error::Refused(format!("node {to:?} {what}"))
    })
}

impl Seen {
    /// What people call a node.
    fn name_of<'a>(&'a self, node: &'a str) -> &'a str {
        let known = self.all.iter().find(|it| it.node == node);
        known.map_or(node, |it| it.name.as_str())
    }
}
