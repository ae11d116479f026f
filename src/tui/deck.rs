//! What the screens know of a recording that is played: where it is, how fast, and which keys ask for more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::units;

/// What a key asks of the player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Play {
    /// Stop, or go on.
    Pause,
    /// Half as fast.
    Slower,
    /// Twice as fast.
    Faster,
    /// One refresh back.
    StepBack,
    /// One refresh on.
    StepOn,
    /// Ten seconds back.
    JumpBack,
    /// Ten seconds on.
    JumpOn,
    /// A twentieth of the recording back.
    LeapBack,
    /// A twentieth of the recording on.
    LeapOn,
}

/// Where the player is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// The time of the refresh on the screen, since the attach.
    pub at: Duration,
    /// The time of the last one.
    pub end: Duration,
    /// The number of the refresh on the screen, counted from one.
    pub refresh: u64,
    /// How many there are.
    pub refreshes: u64,
    /// How much faster than it was.
    pub speed: f64,
    /// Whether it plays by itself.
    pub plays: bool,
    /// Whether all that was recorded before is known here.
    pub knows_all: bool,
    /// What went wrong with the last wish.
    pub trouble: Option<String>,
}

/// The place, shared between the player and the screens.
#[derive(Clone, Debug, Default)]
pub struct Deck(Arc<Mutex<Place>>);

impl Deck {
    /// Tells where the player is.
    pub fn set(&self, place: Place) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    /// Where the player is.
    #[must_use]
    pub fn place(&self) -> Place {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PartialEq for Deck {
    /// Two handles are equal when they tell the same.
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Deck {}

impl Place {
    /// It in a few words, the most telling first: `0:12.4 of 1:00:00`, `x2`, `refresh 372 of 108000`.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = vec![format!("{} of {}", units::clock(self.at), units::clock(self.end))];
        if (self.speed - 1.0).abs() > f64::EPSILON {
            words.push(format!("x{}", self.speed));
        }
        if !self.plays {
            words.push(format!("refresh {} of {}", self.refresh, self.refreshes));
        }
        if !self.knows_all {
            words.push("history from the jump on".to_owned());
        }
        words.extend(self.trouble.clone());
        words
    }
}
