//! What one unfinished body or message takes of the budgets: of all producers together, and of its
//! sender's own.
//!
//! It reads nothing: whoever does says how much there is.

use std::borrow::Borrow;

use crate::access::BodyBudget;
use crate::ingest::limits::{BODIES_MAX_BYTES, BODIES_OF_ONE_MAX_BYTES, OVERLOADED_RETRY_MS};
use crate::refusal::{Code, Refusal};

/// The part of the budgets that one body or message takes; given back when dropped.
#[derive(Debug)]
pub struct Share<B: Borrow<BodyBudget>> {
    all: B,
    own: Option<B>,
    bytes: usize,
}

impl<B: Borrow<BodyBudget>> Share<B> {
    /// Nothing yet, of the budget of all and the sender's own, if it has one.
    pub const fn of(all: B, own: Option<B>) -> Self {
        Self { all, own, bytes: 0 }
    }

    /// Takes so many bytes more. They count even where they are too many, until this is dropped.
    ///
    /// # Errors
    /// `overloaded` or `rate_limited`: there are too many.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let all = self.all.borrow().take(bytes);
        let own = self.own.as_ref().map_or(0, |own| own.borrow().take(bytes));
        self.bytes += bytes;
        let (code, detail) = if own > BODIES_OF_ONE_MAX_BYTES {
            let detail = "too many bytes of this caller's unfinished bodies and messages";
            (Code::RateLimited, detail)
        } else if all > BODIES_MAX_BYTES {
            let detail = "too many bytes of unfinished bodies and messages";
            (Code::Overloaded, detail)
        } else {
            return Ok(());
        };
        Err(Refusal::new(code, detail).retry_after(OVERLOADED_RETRY_MS))
    }

    /// Takes or gives back what makes it so many bytes.
    ///
    /// # Errors
    /// As of [`grow`](Self::grow).
    pub fn set(&mut self, bytes: usize) -> Result<(), Refusal> {
        match bytes.checked_sub(self.bytes) {
            Some(0) => Ok(()),
            Some(more) => self.grow(more),
            None => {
                self.give_back(self.bytes - bytes);
                Ok(())
            }
        }
    }

    fn give_back(&mut self, bytes: usize) {
        self.all.borrow().give_back(bytes);
        if let Some(own) = &self.own {
            own.borrow().give_back(bytes);
        }
        self.bytes -= bytes;
    }
}

impl<B: Borrow<BodyBudget>> Drop for Share<B> {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}
