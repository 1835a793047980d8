//! The places of a listener: how many connections it has at once, and who gives way when all are
//! taken.
//!
//! Producers' places are [`Permits::Kept`]: whoever has one keeps it, and whoever comes too late is
//! told so. Those of the operators' listeners are [`Permits::Shared`]: a probe that finds no place
//! kills a process that is well, so somebody who came always gets one. The peer that has the most
//! connections gives one up, the idlest of them.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::progress::{Idleness, Progress};

/// The places of one listener.
#[derive(Clone, Debug)]
pub enum Permits {
    /// Kept by whoever has one.
    Kept(Arc<Semaphore>),
    /// Shared by all peers.
    Shared(Arc<Crowd>),
}

impl Permits {
    /// So many, each kept until its connection ends.
    #[must_use]
    pub fn kept(most: usize) -> Self {
        Self::Kept(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }

    /// So many, at least one, for everybody who comes.
    #[must_use]
    pub fn shared(most: usize) -> Self {
        Self::Shared(Arc::new(Crowd {
            most,
            began: Instant::now(),
            guests: Mutex::default(),
        }))
    }

    /// A place for a connection of this peer; none: they are all kept.
    #[must_use]
    pub fn enter(&self, peer: IpAddr) -> Option<Permit> {
        match self {
            Self::Kept(places) => {
                let permit = Arc::clone(places).try_acquire_owned().ok()?;
                Some(Permit::Kept(permit))
            }
            Self::Shared(crowd) => Some(Permit::Shared(crowd.enter(peer))),
        }
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub enum Permit {
    /// One that nobody takes away.
    Kept(OwnedSemaphorePermit),
    /// One that may have to be given up.
    Shared(Seat),
}

impl Permit {
    /// How far the connection is, which decides whether it must give way.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        match self {
            Self::Kept(_) => Arc::default(),
            Self::Shared(seat) => Arc::clone(&seat.guest.progress),
        }
    }

    /// Told when the connection must give way, if it ever must.
    #[must_use]
    pub fn leave(&self) -> Option<Arc<Notify>> {
        match self {
            Self::Kept(_) => None,
            Self::Shared(seat) => Some(Arc::clone(&seat.guest.leave)),
        }
    }
}

/// The connections of a listener whose places are shared: a few dozen, so that they are simply
/// looked through.
#[derive(Debug)]
pub struct Crowd {
    most: usize,
    began: Instant,
    guests: Mutex<Vec<Arc<Guest>>>,
}

#[derive(Debug)]
struct Guest {
    peer: IpAddr,
    progress: Arc<Progress>,
    leave: Arc<Notify>,
}

impl Crowd {
    fn enter(self: &Arc<Self>, peer: IpAddr) -> Seat {
        let guest = Arc::new(Guest {
            // One peer, whichever socket it came by.
            peer: peer.to_canonical(),
            progress: Arc::new(Progress::watched(self.began)),
            leave: Arc::default(),
        });
        let mut guests = self.guests();
        if guests.len() >= self.most
            && let Some(index) = gives_way(&guests, guest.peer)
        {
            guests.swap_remove(index).leave.notify_one();
        }
        guests.push(Arc::clone(&guest));
        Seat {
            crowd: Arc::clone(self),
            guest,
        }
    }

    fn guests(&self) -> MutexGuard<'_, Vec<Arc<Guest>>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who gives way to somebody of this peer: the idlest of whoever has the most, the one who comes
/// counted as well.
fn gives_way(guests: &[Arc<Guest>], comes: IpAddr) -> Option<usize> {
    let places = |peer: IpAddr| {
        let has = guests.iter().filter(|guest| guest.peer == peer).count();
        has + usize::from(peer == comes)
    };
    let most = guests.iter().map(|guest| places(guest.peer)).max()?;
    let candidates = guests
        .iter()
        .enumerate()
        .filter(|(_, guest)| places(guest.peer) == most);
    let idleness = |(_, guest): &(usize, &Arc<Guest>)| -> Idleness { guest.progress.idleness() };
    candidates.max_by_key(idleness).map(|(index, _)| index)
}

/// A place in a crowd.
#[derive(Debug)]
pub struct Seat {
    crowd: Arc<Crowd>,
    guest: Arc<Guest>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        // One that gave way is not among them any more.
        let mut guests = self.crowd.guests();
        if let Some(index) = guests.iter().position(|it| Arc::ptr_eq(it, &self.guest)) {
            guests.swap_remove(index);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use super::*;
    use std::time::Duration;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    /// Whether a connection was told to go.
    async fn goes(place: &Permit) -> bool {
        let leave = place.leave().unwrap();
        tokio::time::timeout(Duration::ZERO, leave.notified())
            .await
            .is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_the_most_gives_way_with_the_idlest() {
        let places = Permits::shared(4);
        let enter = |last| {
            let place = places.enter(peer(last)).unwrap();
            let progress = place.progress();
            progress.moved();
            (place, progress)
        };
        let (probe, _) = enter(1);
        let (busy, of_busy) = enter(2);
        let under_way = of_busy.begin();
        tokio::time::advance(Duration::from_secs(1)).await;
        let (older, of_older) = enter(2);
        tokio::time::advance(Duration::from_secs(1)).await;
        let (newer, _) = enter(2);
        tokio::time::advance(Duration::from_secs(1)).await;
        // What was silent for longer goes, but not what is being answered.
        let (third, _) = enter(2);
        assert!(goes(&older).await);
        drop(older);
        assert!(!goes(&busy).await && !goes(&newer).await && !goes(&probe).await);
        // The peer with one connection keeps it, whoever comes.
        let (other, _) = enter(3);
        assert!(goes(&newer).await && !goes(&probe).await);
        // Of those who are all being answered the one that moved the longest ago.
        let again = [third.progress().begin(), under_way];
        let (fourth, _) = enter(2);
        assert!(goes(&busy).await && !goes(&third).await && !goes(&fourth).await);
        drop((again, of_older, other, fourth, third, newer, busy));
        // What was given back can be had without anybody's going.
        let rest: Vec<_> = (0..3).map(|_| enter(9)).collect();
        for (place, _) in &rest {
            assert!(!goes(place).await);
        }
        assert!(!goes(&probe).await);
    }

    #[test]
    fn what_is_kept_is_kept() {
        let places = Permits::kept(1);
        let place = places.enter(peer(1)).unwrap();
        assert!(places.enter(peer(2)).is_none());
        assert!(place.leave().is_none());
        drop(place);
        assert!(places.enter(peer(2)).is_some());
    }
}
