//! What is wrong, as small values: one function finds them all in a snapshot, and each says itself in one sentence.

use std::time::Duration;

/// Something a person should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What kind of trouble.
    pub kind: AlertKind,
    /// How bad.
    pub severity: Severity,
    /// Whom it concerns: a stack's, a heap's or the target's name.
    pub subject: String,
    /// The whole sentence, with numbers and units.
    pub text: String,
    /// When it began, since the attach.
    pub since: Duration,
    /// When it was over, since the attach; `None` while it holds.
    pub until: Option<Duration>,
}

/// The kinds of trouble, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertKind {
    /// A stack's guard is broken: it overflowed.
    Overflow,
    /// An allocation failed.
    HeapFailure,
    /// A stack's peak is past its limit (80 % unless configured).
    StackLimit,
    /// A heap's peak is past its limit.
    HeapLimit,
    /// The firmware on the target is not this ELF.
    WrongElf,
    /// The ELF has an agent but the target has no block (not started yet, or another firmware).
    AgentMissing,
    /// The heartbeat stands still while the link is up.
    Stalled,
    /// The target was reset.
    Reset,
    /// The link was lost.
    LinkLost,
    /// The agent had no slot left for a registration: the picture is not whole.
    Refused,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Memory is being or has been destroyed.
    Danger,
    /// It will go wrong if it goes on.
    Warning,
    /// Good to know.
    Info,
}
