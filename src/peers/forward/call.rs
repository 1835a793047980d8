//! Requests about what another node has: handed to it as they are, and its answer handed back, be it without end.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::{self, BoxStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{Status, Streaming};

use super::{LOOK_EVERY, Others, RETRY_AFTER_MS, cannot_be_reached, not_taken};
use crate::dispatch::{AccountKey, Answered, Asked, NotTaken};
use crate::node::{Owner, Owners};
use crate::peers::links::Failure;
use crate::peers::protocol::{Part, Request, headers_of, part};
use crate::refusal::{Code, Refusal};

impl Others {
    /// Asks the owner of the account, or, where nobody knows the account, every owner until one answers.
    pub(super) async fn call_until(
        &self,
        asked: &Asked,
        until: Instant,
    ) -> Result<Answered, NotTaken> {
        let mut owners = self.owners.clone();
        let mut why = "no node owns this channel's account at present".to_owned();
        let place = self.place(until).await?;
        loop {
            if self.is_here(asked) {
                return Err(NotTaken::Here);
            }
            let seen = Arc::clone(&owners.borrow_and_update());
            let (mut unknown, mut all) = (None, true);
            for owner in self.candidates(&seen, asked.account.as_ref()) {
                match self.ask_for(owner, asked).await {
                    Ok(Some(answer)) if answer.unknown_channel => {
                        unknown = Some(answer);
                        continue;
                    }
                    Ok(Some(answer)) => return Ok(keeping(answer, place)),
                    Ok(None) => "the account is about to change its owner".clone_into(&mut why),
                    Err(Failure::NotAsked(what)) => why = cannot_be_reached(owner, &what),
                    Err(Failure::Lost(what)) => {
                        self.calls.give_up(&owner.address).await;
                        if !asked.method.is_safe() {
                            return Err(NotTaken::InDoubt(in_doubt(owner, &what)));
                        }
                        why = cannot_be_reached(owner, &what);
                    }
                }
                all = false;
            }
            match unknown {
                Some(answer) if all => return Ok(keeping(answer, place)),
                _ if Instant::now() >= until => return Err(NotTaken::Refused(not_taken(&why))),
                _ => {}
            }
            // Gone with the node: then the time is waited out.
            let _ = timeout(LOOK_EVERY, owners.changed()).await;
        }
    }

    /// The answers of all other owners.
    pub(super) async fn each_until(
        &self,
        asked: &Asked,
        until: Instant,
    ) -> Result<Vec<Answered>, Refusal> {
        let mut owners = self.owners.clone();
        let mut answers: HashMap<String, Answered> = HashMap::new();
        loop {
            let seen = Arc::clone(&owners.borrow_and_update());
            let mut why = self.unowned(&seen);
            let missing = self.candidates(&seen, None).into_iter();
            let missing = missing.filter(|owner| !answers.contains_key(&owner.node));
            let asking = missing.map(async |owner| (owner, self.ask_for(owner, asked).await));
            for (owner, answer) in join_all(asking).await {
                match answer {
                    Ok(Some(answer)) => drop(answers.insert(owner.node.clone(), answer)),
                    Ok(None) => why = Some("an account is about to change its owner".to_owned()),
                    Err(Failure::NotAsked(what)) => why = Some(cannot_be_reached(owner, &what)),
                    Err(Failure::Lost(what)) => {
                        self.calls.give_up(&owner.address).await;
                        if !asked.method.is_safe() {
                            return Err(in_doubt(owner, &what));
                        }
                        why = Some(cannot_be_reached(owner, &what));
                    }
                }
            }
            let Some(why) = why else {
                return Ok(answers.into_values().collect());
            };
            if Instant::now() >= until {
                return Err(if answers.is_empty() || asked.method.is_safe() {
                    not_taken(&why)
                } else {
                    Refusal::new(Code::Overloaded, format!("some of it was done: {why}"))
                        .retry_after(RETRY_AFTER_MS)
                });
            }
            // Gone with the node: then the time is waited out.
            let _ = timeout(LOOK_EVERY, owners.changed()).await;
        }
    }

    /// What is wrong where an account has no owner.
    fn unowned(&self, seen: &Owners) -> Option<String> {
        let gateway = self.gateway.upgrade()?;
        let accounts = gateway.known_accounts().into_iter();
        let mut elsewhere = accounts.filter(|account| !gateway.has(account));
        let (id, region) = elsewhere.find(|account| self.other(seen, account).is_none())?;
        Some(format!(
            "no node owns the account {id} in {region} at present"
        ))
    }

    /// Whether what is asked about came here meanwhile.
    fn is_here(&self, asked: &Asked) -> bool {
        let gateway = self.gateway.upgrade();
        let account = asked.account.as_ref();
        gateway
            .zip(account)
            .is_some_and(|(gateway, account)| gateway.has(account))
    }

    async fn place(&self, until: Instant) -> Result<OwnedSemaphorePermit, NotTaken> {
        let place = Arc::clone(&self.calls_open).acquire_owned();
        let why = "too many requests of this node are at the owners of accounts";
        match timeout_at(until, place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(NotTaken::Refused(not_taken(why))),
        }
    }

    /// The other nodes that may have a channel of that account; none: any that owns one.
    pub(super) fn candidates<'a>(
        &self,
        seen: &'a Owners,
        account: Option<&AccountKey>,
    ) -> Vec<&'a Owner> {
        if let Some(account) = account {
            return self.other(seen, account).into_iter().collect();
        }
        let owners = seen.by_account.values().flatten();
        let mut others: Vec<_> = owners.filter(|owner| owner.node != self.me).collect();
        others.sort_by(|a, b| a.node.cmp(&b.node));
        others.dedup_by(|a, b| a.node == b.node);
        others
    }

    /// The owner's answer; none: what is asked about is not there.
    pub(super) async fn ask_for(
        &self,
        owner: &Owner,
        asked: &Asked,
    ) -> Result<Option<Answered>, Failure> {
        let link = self.calls.to(&owner.address).await;
        let mut client = link.map_err(Failure::NotAsked)?;
        let request = self.calls.trust().request(Request::from(asked));
        let head = async {
            let mut parts = client.call(request).await?.into_inner();
            let head = parts.message().await?;
            Ok((head, parts))
        };
        let (head, parts) = match timeout(self.patience, head).await {
            Ok(answered) => answered.map_err(|status: Status| Failure::from(status))?,
            Err(_) => return Err(Failure::Lost("it did not answer in time".to_owned())),
        };
        match head.and_then(|head| head.part) {
            Some(part::Part::Moved(_)) => Ok(None),
            Some(part::Part::Head(head)) => Ok(Some(Answered {
                status: u16::try_from(head.status).unwrap_or_default(),
                headers: headers_of(head.headers),
                unknown_channel: head.unknown_channel,
                body: body(parts),
            })),
            Some(part::Part::Body(_)) | None => {
                Err(Failure::Lost("its answer makes no sense".to_owned()))
            }
        }
    }
}

/// The rest of an answer. Where the node is gone, it ends with an error, so that nobody takes it for whole.
/// Whoever drops it tells the node so.
fn body(parts: Streaming<Part>) -> BoxStream<'static, std::io::Result<Bytes>> {
    let next = async |parts: Option<Streaming<Part>>| {
        let mut parts = parts?;
        match parts.message().await {
            Ok(Some(Part {
                part: Some(part::Part::Body(bytes)),
            })) => Some((Ok(bytes), Some(parts))),
            Ok(Some(_)) => Some((Err(std::io::Error::other("no body")), None)),
            Ok(None) => None,
            Err(status) => Some((Err(std::io::Error::other(status)), None)),
        }
    };
    stream::unfold(Some(parts), next).boxed()
}

/// The answer keeps its place until its end.
fn keeping(answer: Answered, place: OwnedSemaphorePermit) -> Answered {
    let body = answer.body.map(move |bytes| {
        let _kept = &place;
        bytes
    });
    Answered {
        body: body.boxed(),
        ..answer
    }
}

fn in_doubt(owner: &Owner, what: &str) -> Refusal {
    let detail = format!(
        "it may have been done: the connection to the node {} was lost: {what}",
        owner.name
    );
    Refusal::new(Code::Overloaded, detail).retry_after(RETRY_AFTER_MS)
}
