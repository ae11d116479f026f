//! What a screen wants to know that costs extra reads: it asks here, and the sampler looks before each refresh.
//!
//! The sampler lives on its own thread and observations flow one way only. Going the other way there is nothing but
//! this one value: the newest wish counts, an old one is of no use, so it is a cell and not a queue.

use std::sync::{Arc, Mutex, PoisonError};

use crate::region::Region;

/// What somebody looks at, and what is read for that while they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The words of the stack with this id.
    Stack(String),
    /// The fields of the static that lies there.
    Static(Region),
}

/// What somebody looks at, shared between a screen and the sampler.
#[derive(Clone, Debug, Default)]
pub struct Interest(Arc<Mutex<Option<Wish>>>);

impl Interest {
    /// Asks for this, or for nothing any more.
    pub fn set(&self, new: Option<Wish>) {
        // A wish is replaced whole, so a thread that panicked while it held the lock left nothing half done.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// What is asked for.
    #[must_use]
    pub fn get(&self) -> Option<Wish> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PartialEq for Interest {
    /// Two handles are equal when they ask for the same.
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Interest {}
