//! Screen 2.

/// The columns that sort the stacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The share of the stack ever used.
    #[default]
    Peak,
}
