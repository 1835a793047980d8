//! A gateway that runs by the same configuration: what its own calls came to.
//!
//! Asked at its address of metrics, which only reads.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use cuegate_client::{Client, Error, Method};
use serde::Deserialize;

use super::Finding;

/// A gateway that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Its accounts.
    pub accounts: Vec<Account>,
    /// Its calls, by account and region, and then by outcome.
    pub calls: BTreeMap<(String, String), BTreeMap<String, u64>>,
    /// Its limit of open files.
    pub max_fds: Option<u64>,
}

/// An account, as `/readyz` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// Its id.
    pub account: String,
    /// The region.
    pub region: String,
    /// Whether it can send, as far as is known.
    pub up: bool,
    /// Why not.
    pub reason: Option<String>,
}

#[derive(Deserialize)]
struct Ready {
    accounts: Vec<Account>,
}

/// Asks for one at `metrics.listen`; none: nobody answers there as a gateway does.
pub async fn ask(listen: SocketAddr) -> Option<Running> {
    let client = Client::new(format!("http://{}", reachable(listen))).ok()?;
    let ready = match client.call(Method::GET, "/readyz", None).await {
        Ok(ready) => ready,
        // One that is not ready says so with the same document.
        Err(Error::Refused(refusal)) => refusal.document,
        Err(_) => return None,
    };
    let ready: Ready = serde_json::from_str(&ready).ok()?;
    let metrics = client.call(Method::GET, "/metrics", None).await.ok()?;
    Some(Running {
        accounts: ready.accounts,
        calls: calls(&metrics),
        max_fds: value(&metrics, "process_max_fds"),
    })
}

/// Where one that listens everywhere is reached from this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The value of a metric without labels.
fn value(metrics: &str, name: &str) -> Option<u64> {
    let line = metrics.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.strip_prefix(' ')
    })?;
    whole(line)
}

pub(super) fn calls(metrics: &str) -> BTreeMap<(String, String), BTreeMap<String, u64>> {
    let mut calls: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    let lines = metrics.lines();
    for line in lines.filter_map(|line| line.strip_prefix("cuegate_put_metadata_calls_total{")) {
        let Some((labels, count)) = line.split_once("} ") else {
            continue;
        };
        let label = |name: &str| {
            labels.split(',').find_map(|label| {
                let value = label.strip_prefix(name)?.strip_prefix("=\"")?;
                value.strip_suffix('"').map(str::to_owned)
            })
        };
        if let (Some(account), Some(region), Some(outcome), Some(count)) = (
            label("account"),
            label("region"),
            label("outcome"),
            whole(count),
        ) {
            calls
                .entry((account, region))
                .or_default()
                .insert(outcome, count);
        }
    }
    calls
}

fn whole(number: &str) -> Option<u64> {
    // An exposition may write a whole number as 3 or as 3.0.
    let whole = number.split('.').next().unwrap_or(number);
    whole.trim().parse().ok()
}

/// What its own calls came to, for each account; whether one runs at all.
#[must_use]
pub fn judge(running: Option<&Running>, listen: SocketAddr) -> Vec<Finding> {
    let check = "PutMetadata";
    let Some(running) = running else {
        let text = format!(
            "no gateway runs here by this configuration (nobody answers at metrics.listen, {listen}); PutMetadata is not tried"
        );
        return vec![Finding::note(check, "all accounts", text).advise(
            "whether it is permitted shows here, and in /readyz, once a gateway has sent",
        )];
    };
    let accounts = running.accounts.iter();
    accounts
        .map(|account| of_account(running, account))
        .collect()
}

fn of_account(running: &Running, account: &Account) -> Finding {
    let check = "PutMetadata";
    let key = (account.account.clone(), account.region.clone());
    let about = format!("{} {}", key.0, key.1);
    let calls = running.calls.get(&key);
    let made: Vec<_> = calls
        .into_iter()
        .flatten()
        .filter(|(_, n)| **n > 0)
        .collect();
    let shown: Vec<_> = made
        .iter()
        .map(|(outcome, n)| format!("{n} {outcome}"))
        .collect();
    let shown = if shown.is_empty() {
        "no call has ended yet".to_owned()
    } else {
        format!("calls that have ended: {}", shown.join(", "))
    };
    if !account.up {
        let reason = account.reason.as_deref().unwrap_or("it gives no reason");
        let text = format!("the running gateway cannot send: {reason} ({shown})");
        return Finding::action(check, &about, text).advise(
            "see the credentials and permissions above; the calls need ivs:PutMetadata on the channels",
        );
    }
    let text = format!("the running gateway can send, as far as it knows; {shown}");
    if made.iter().any(|(outcome, _)| *outcome == "delivered") {
        Finding::ok(check, &about, text)
    } else {
        Finding::note(check, &about, text)
    }
}
