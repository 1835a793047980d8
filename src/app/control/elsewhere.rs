//! What operators ask of the accounts that other nodes of a cluster have: their parts, joined with this node's own.

use std::time::Duration;

use http::Method;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use super::Control;
use crate::admin::{
    ClusterView, DEAD_LETTERS, DeadLetterPage, Figures, NodeView, OVERVIEW, Overview, OwnedAccount,
    Purged, ReplayReport,
};
use crate::app::store::Part;
use crate::dispatch::{Asked, LetterFilter, Peers as _};
use crate::refusal::{Code, Refusal};

/// How long the console waits for the figures of other nodes: it asks every second.
const FIGURES_WITHIN: Duration = Duration::from_millis(500);

/// Most bytes of an answer: a page of the largest letters.
const ANSWER_MAX: usize = 64 << 20;

impl Control {
    /// The figures of all owners, and who they are. An owner that does not tell them at once is left out.
    pub(super) async fn overview_of_all(&self) -> Overview {
        let mut overview = self.overview_here();
        let Some(part) = &self.part else {
            return overview;
        };
        let path = OVERVIEW.to_owned();
        let figures = self.each::<Figures>(Method::GET, path, Duration::ZERO);
        let figures = timeout(FIGURES_WITHIN, figures).await;
        let whole = matches!(figures, Ok(Ok(_)));
        for figures in figures.into_iter().flatten().flatten() {
            overview.add(figures);
        }
        let name = self.gateway.settings().cluster.name.clone();
        overview.cluster = Some(cluster(name, part, whole));
        overview
    }

    /// A page of the letters of all nodes, oldest first.
    pub(super) async fn letters_of_all(
        &self,
        here: DeadLetterPage,
        filter: &LetterFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<DeadLetterPage, Refusal> {
        if self.part.is_none() {
            return Ok(here);
        }
        let path = path(filter, Some((after, limit)));
        let mut page = here;
        for other in self
            .each::<DeadLetterPage>(Method::GET, path, self.hold())
            .await?
        {
            page.total += other.total;
            page.dead_letters.extend(other.dead_letters);
            page.next = page.next.max(other.next);
        }
        page.dead_letters.sort_by_key(|letter| letter.id);
        let more = page.next.is_some() || page.dead_letters.len() > limit;
        // What two accounts gave one id is on one page.
        let last = page.dead_letters.get(limit - 1).map(|last| last.id);
        page.dead_letters
            .retain(|letter| last.is_none_or(|last| letter.id <= last));
        let last = page.dead_letters.last().map(|last| last.id);
        page.next = last.filter(|_| more);
        Ok(page)
    }

    pub(super) async fn replay_elsewhere(
        &self,
        filter: &LetterFilter,
    ) -> Result<ReplayReport, Refusal> {
        let answers = self
            .each(Method::POST, path(filter, None), self.hold())
            .await?;
        let none = ReplayReport::default();
        Ok(answers.into_iter().fold(none, ReplayReport::and))
    }

    pub(super) async fn purge_elsewhere(&self, filter: &LetterFilter) -> Result<usize, Refusal> {
        let path = path(filter, None);
        let answers = self.each::<Purged>(Method::DELETE, path, self.hold());
        let answers = answers.await?;
        Ok(answers.iter().map(|answer| answer.purged).sum())
    }

    fn hold(&self) -> Duration {
        self.gateway.settings().cluster.hold
    }

    /// The answers of all other owners.
    async fn each<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        patience: Duration,
    ) -> Result<Vec<T>, Refusal> {
        let Some(part) = &self.part else {
            return Ok(Vec::new());
        };
        let asked = Asked {
            method,
            ..Asked::get("an operator of another node", path)
        };
        let until = Instant::now() + patience;
        let mut answers = Vec::new();
        for answer in part.others.each(&asked, until).await? {
            let status = answer.status;
            let text = answer.whole(ANSWER_MAX).await;
            let text = text.map_err(|error| unreadable(&error))?;
            if status != 200 {
                let text = String::from_utf8_lossy(&text).into_owned();
                return Err(unreadable(&std::io::Error::other(text)));
            }
            let answer = serde_json::from_slice(&text).map_err(|error| unreadable(&error))?;
            answers.push(answer);
        }
        Ok(answers)
    }
}

fn cluster(name: String, part: &Part, whole: bool) -> ClusterView {
    let owners = part.node.owners();
    let seen = owners.borrow();
    let nodes = seen.living.iter().map(|node| NodeView {
        name: node.name.clone(),
        address: node.address.clone(),
        version: node.version.clone(),
        is_this: node.node == part.node.name(),
    });
    let accounts = seen.by_account.iter();
    let accounts = accounts.map(|((account, region), owner)| OwnedAccount {
        account: account.clone(),
        region: region.clone(),
        owner: owner.as_ref().map(|owner| owner.name.clone()),
        epoch: owner.as_ref().map(|owner| owner.epoch),
    });
    ClusterView {
        name,
        nodes: nodes.collect(),
        accounts: accounts.collect(),
        whole,
    }
}

fn unreadable(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(%error, "the answer of another node cannot be read");
    let detail = "the answer of another node cannot be read; see the log";
    Refusal::new(Code::Overloaded, detail).retry_after(1000)
}

fn path(filter: &LetterFilter, page: Option<(Option<u64>, usize)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let numbers = [
        ("id", filter.id),
        ("after", page.and_then(|(after, _)| after)),
        ("limit", page.map(|(_, limit)| limit as u64)),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            query.append_pair(name, &number.to_string());
        }
    }
    for (name, text) in [("channel", &filter.channel), ("reason", &filter.reason)] {
        if let Some(text) = text {
            query.append_pair(name, text);
        }
    }
    format!("{DEAD_LETTERS}?{}", query.finish())
}
