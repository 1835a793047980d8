//! What a queue has to tell, until it is asked.

use std::sync::LazyLock;

use super::dead::DeadLetter;
use super::lazy::Empty;
use super::{Ended, Receipt};

#[derive(Clone, Debug, Default)]
pub(super) struct News {
    pub ended: Vec<Ended>,
    pub dead: Vec<DeadLetter>,
    pub receipts: Vec<Receipt>,
}

impl Empty for News {
    #[cold]
    #[inline(never)]
    fn empty() -> &'static Self {
        static EMPTY: LazyLock<News> = LazyLock::new(News::default);
        &EMPTY
    }
}

impl News {
    pub(super) fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.dead.is_empty() && self.receipts.is_empty()
    }
}
