//! What one channel is by API, and whether the journal has heard of it.

use std::sync::Arc;

use crate::journal::{Defined, Definition};

/// What a channel is by API, whether or not the configuration file lists it too.
#[derive(Default)]
pub(super) struct OwnDefinition {
    /// None: it was not made by API.
    now: Option<Arc<Definition>>,
    /// The journal has not heard it yet.
    changed: bool,
}

impl OwnDefinition {
    pub const fn get(&self) -> Option<&Arc<Definition>> {
        self.now.as_ref()
    }

    /// From now on it is that.
    pub fn set(&mut self, definition: Option<Arc<Definition>>) {
        self.changed |= self.now != definition;
        self.now = definition;
    }

    /// It is that, and the journal has it.
    pub fn recall(&mut self, definition: Option<Arc<Definition>>) {
        self.now = definition;
    }

    /// What the journal has not heard yet; it hears it now.
    pub fn news(&mut self) -> Option<Defined> {
        let changed = std::mem::take(&mut self.changed);
        changed.then(|| self.whole().unwrap_or(Defined::NoLonger))
    }

    /// What there is to say of it; it is said now.
    pub fn told(&mut self) -> Option<Defined> {
        self.changed = false;
        self.whole()
    }

    fn whole(&self) -> Option<Defined> {
        self.now.clone().map(Defined::As)
    }
}
