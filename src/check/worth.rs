//! What a number that was found says of the true one, and so what it proves.
//!
//! ```text
//!                    at most the limit        at least the limit
//!   at least n       fails, never passes      passes, never fails
//!   at most n        passes, never fails      fails, never passes
//! ```

use super::Sense;
use crate::model::snapshot::Trust;
use crate::report;

/// On which side of a number the true one can lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// It is the true one.
    Exact,
    /// The true one may be more.
    AtLeast,
    /// The true one may be less.
    AtMost,
    /// It may be anything, for the reason that the word names.
    Doubtful(&'static str),
}

impl Worth {
    /// Of the most that was ever used: what is old or not read to its end was used at least.
    pub(super) fn of_most(trust: Trust) -> Self {
        match trust {
            Trust::Exact => Self::Exact,
            Trust::AtLeast | Trust::Stale => Self::AtLeast,
            Trust::Estimated | Trust::Torn | Trust::Unpainted | Trust::Gap => Self::Doubtful(report::trust(trust)),
        }
    }

    /// Of what is left when a number of this worth is taken away.
    pub(super) fn of_rest(self) -> Self {
        match self {
            Self::AtLeast => Self::AtMost,
            Self::AtMost => Self::AtLeast,
            other => other,
        }
    }

    /// The contract's word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::AtLeast => "at least",
            Self::AtMost => "at most",
            Self::Doubtful(why) => why,
        }
    }

    /// Whether a number on the good side of its limit proves that the true one is.
    pub(super) fn proves_kept(self, sense: Sense) -> bool {
        match self {
            Self::Exact => true,
            Self::AtLeast => sense == Sense::AtLeast,
            Self::AtMost => sense == Sense::AtMost,
            Self::Doubtful(_) => false,
        }
    }

    /// Whether a number on the bad side of its limit proves that the true one is.
    pub(super) fn proves_exceeded(self, sense: Sense) -> bool {
        self.of_rest().proves_kept(sense)
    }

    /// Why it proves nothing, in words.
    pub(super) fn doubt(self) -> &'static str {
        match self {
            Self::Exact => "",
            Self::AtLeast => "it may be more",
            Self::AtMost => "it may be less",
            Self::Doubtful(_) => "that proves nothing",
        }
    }
}
