//! What somebody else works out while the screen is on already: who owns the memory, and what is told of one of them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::inventory::Inventory;
use crate::inventory::told::Told;
use crate::region::Region;

/// Asks for what can be told of the function or static in a range.
type Ask = Box<dyn Fn(Region) + Send + Sync>;

/// An inventory that will come, and come again when the ELF is built anew.
#[derive(Clone, Debug, Default)]
pub struct Shared(Option<Arc<Cell>>);

struct Cell {
    state: Mutex<Known>,
    ask: Option<Ask>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Known {
    inventory: Option<Arc<Inventory>>,
    asked: Option<Region>,
    told: Option<Arc<Told>>,
}

impl Shared {
    /// One that will come, from somebody who cannot be asked for more.
    #[must_use]
    pub fn expected() -> Self {
        Self::made(None)
    }

    /// One that will come from somebody who can be asked what a range holds, by `ask`, and answers with
    /// [`Shared::tell`].
    #[must_use]
    pub fn expected_from(ask: impl Fn(Region) + Send + Sync + 'static) -> Self {
        Self::made(Some(Box::new(ask)))
    }

    fn made(ask: Option<Ask>) -> Self {
        Self(Some(Arc::new(Cell { state: Mutex::default(), ask, changed: Notify::new() })))
    }

    /// Hands an inventory over, in place of the one before.
    pub fn set(&self, inventory: Inventory) {
        if let Some(cell) = &self.0 {
            *cell.state() = Known { inventory: Some(Arc::new(inventory)), ..Known::default() };
            cell.changed.notify_one();
        }
    }

    /// Hands over what can be told of one of its ranges.
    pub fn tell(&self, told: Told) {
        if let Some(cell) = &self.0 {
            let mut state = cell.state();
            // Somebody may look at something else by now.
            if state.asked == Some(told.range) {
                state.told = Some(Arc::new(told));
                cell.changed.notify_one();
            }
        }
    }

    /// Whether it is there or will come.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        self.0.is_some()
    }

    /// The newest.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Inventory>> {
        self.0.as_ref()?.state().inventory.clone()
    }

    /// What is told of a range, once it was asked for.
    #[must_use]
    pub fn told(&self, range: Region) -> Option<Arc<Told>> {
        self.0.as_ref()?.state().told.clone().filter(|told| told.range == range)
    }

    /// Whether what a range holds will be told, or was.
    #[must_use]
    pub fn can_tell(&self) -> bool {
        self.0.as_ref().is_some_and(|cell| cell.ask.is_some())
    }

    /// Asks for what can be told of the function or static in that range; of two questions, the newer counts.
    pub fn ask(&self, range: Option<Region>) {
        let Some(cell) = &self.0 else { return };
        let mut state = cell.state();
        if state.inventory.is_none() || state.asked == range {
            return;
        }
        state.asked = range;
        if let (Some(ask), Some(range)) = (&cell.ask, range) {
            ask(range);
        }
    }

    /// Returns when there is something new.
    pub(crate) async fn changed(&self) {
        match &self.0 {
            Some(cell) => cell.changed.notified().await,
            None => std::future::pending().await,
        }
    }
}

impl Cell {
    fn state(&self) -> MutexGuard<'_, Known> {
        // Everything in it is replaced whole, so a thread that panicked left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell").field("asked", &self.state().asked).finish_non_exhaustive()
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Shared {}
