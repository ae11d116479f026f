//! What a screen wants to know that costs extra reads: it asks here, and the sampler looks before each refresh.
//!
//! The sampler lives on its own thread and observations flow one way only. Going the other way there is nothing but
//! this one value: the newest wish counts, an old one is of no use, so it is a cell and not a queue.

use std::sync::{Arc, Mutex, PoisonError};

/// The id of the stack whose words somebody looks at, shared between a screen and the sampler.
#[derive(Clone, Debug, Default)]
pub struct Interest(Arc<Mutex<Option<String>>>);

impl Interest {
    /// Asks for the words of the stack with this id, or for nothing any more.
    pub fn set(&self, stack: Option<&str>) {
        // A wish is replaced whole, so a thread that panicked while it held the lock left nothing half done.
        let mut wish = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if wish.as_deref() != stack {
            *wish = stack.map(str::to_owned);
        }
    }

    /// The stack that is asked for.
    #[must_use]
    pub fn get(&self) -> Option<String> {
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
