//! Budgets as a person writes them, and those that hold when nobody wrote any.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::amount::{Amount, Percent};

/// What memory may be used: the table `[budgets]` of highwater.toml.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Budgets {
    /// A fault that the core recorded is no failure.
    pub allow_faults: bool,
    /// For all stacks.
    pub every_stack: StackBudget,
    /// For stacks by name.
    pub stack: BTreeMap<String, StackBudget>,
    /// For all heaps.
    pub every_heap: HeapBudget,
    /// For heaps by name.
    pub heap: BTreeMap<String, HeapBudget>,
    /// For memories by name: `RAM`, `flash`.
    pub memory: BTreeMap<String, MemoryBudget>,
    /// For what the linker placed, by name: `.bss`, `code`.
    pub region: BTreeMap<String, RegionBudget>,
}

/// A stack's budget. What is `None` is taken from the budget for all stacks, then from [`StackBudget::usual`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct StackBudget {
    /// The least that must never have been used, of the stack's size.
    pub margin: Option<Amount>,
    /// The most that may have been used, of the stack's size.
    pub peak: Option<Amount>,
    /// The suggested size must not be larger than the stack.
    pub suggested: Option<bool>,
    /// A broken guard is no failure.
    pub allow_overflow: Option<bool>,
    /// A number that is not known is a failure.
    pub required: Option<bool>,
}

/// A heap's budget. What is `None` is taken from the budget for all heaps, then from [`HeapBudget::usual`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct HeapBudget {
    /// The most that may be in use at any time, of the heap's size.
    pub peak: Option<Amount>,
    /// The most that may be free and not in the largest free block, of what is free.
    pub fragmentation: Option<Percent>,
    /// The most bytes that what is in use may grow in a minute.
    pub leak: Option<Amount>,
    /// The most allocations that may fail.
    pub failures: Option<u32>,
    /// Structures that make no sense are no failure.
    pub allow_damage: Option<bool>,
    /// A number that is not known is a failure.
    pub required: Option<bool>,
}

/// A memory's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MemoryBudget {
    /// The most that the linker may place there, heaps left out, of the memory's size.
    pub used: Amount,
    /// A number that is not known is a failure.
    #[serde(default)]
    pub required: bool,
}

/// The budget of something that the linker placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegionBudget {
    /// The most bytes that it may have.
    pub size: Amount,
}

impl StackBudget {
    /// What holds when nobody says otherwise: a tenth of each stack stays unused, and no guard breaks.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            margin: Some(Amount::Percent(10)),
            peak: None,
            suggested: Some(false),
            allow_overflow: Some(false),
            required: Some(false),
        }
    }

    /// This budget, and `other` where it says nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            margin: self.margin.or(other.margin),
            peak: self.peak.or(other.peak),
            suggested: self.suggested.or(other.suggested),
            allow_overflow: self.allow_overflow.or(other.allow_overflow),
            required: self.required.or(other.required),
        }
    }
}

impl HeapBudget {
    /// What holds when nobody says otherwise: nothing is damaged, no allocation fails, what is in use grows by no more than 4 KiB a minute,
    /// and a fifth of what is free is one block.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            peak: None,
            fragmentation: Some(Percent(80)),
            leak: Some(Amount::Bytes(4096)),
            failures: Some(0),
            allow_damage: Some(false),
            required: Some(false),
        }
    }

    /// This budget, and `other` where it says nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            peak: self.peak.or(other.peak),
            fragmentation: self.fragmentation.or(other.fragmentation),
            leak: self.leak.or(other.leak),
            failures: self.failures.or(other.failures),
            allow_damage: self.allow_damage.or(other.allow_damage),
            required: self.required.or(other.required),
        }
    }
}

impl Budgets {
    /// The budget of the stack of that name.
    #[must_use]
    pub fn of_stack(&self, name: &str) -> StackBudget {
        of(&self.stack, name).or(self.every_stack).or(StackBudget::usual())
    }

    /// The budget of the heap of that name.
    #[must_use]
    pub fn of_heap(&self, name: &str) -> HeapBudget {
        of(&self.heap, name).or(self.every_heap).or(HeapBudget::usual())
    }
}

/// What is said of that name; upper and lower case are the same.
fn of<T: Copy + Default>(budgets: &BTreeMap<String, T>, name: &str) -> T {
    let own = budgets.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    own.map(|(_, budget)| *budget).unwrap_or_default()
}
