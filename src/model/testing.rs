//! Small snapshots for the tests of what the model makes of them.

use std::time::Duration;

use super::snapshot::{Health, Link, Measured, Snapshot, Stack, StackKind, Target, Trust};
use crate::region::Region;

/// A live target with nothing in it, so many seconds after the attach.
pub(crate) fn live(seconds: u64) -> Snapshot {
    Snapshot {
        at: Duration::from_secs(seconds),
        epoch: 0,
        target: Target { elf: "demo.elf".into(), ..Target::default() },
        health: Health::Live,
        memories: Vec::new(),
        stacks: Vec::new(),
        heaps: Vec::new(),
        link: Link::default(),
        hints: Vec::new(),
        detail: None,
        excerpt: None,
        values: None,
        tripwire: None,
    }
}

/// A stack of 1000 bytes whose id is its name.
pub(crate) fn stack(name: &str, peak: u32) -> Stack {
    Stack {
        id: name.into(),
        name: name.into(),
        kind: StackKind::User,
        range: Region::new(0x2000_0000, 1000),
        control_block: None,
        current: None,
        lowest_sp: None,
        peak: Some(Measured { bytes: peak, trust: Trust::Exact }),
        worst_case: None,
        worst_case_note: None,
        recursion: None,
        rescanned: None,
        victim: None,
        overflowed: false,
        limit_whole: true,
        unwritten: None,
        priority: None,
        state: None,
        cpu: None,
    }
}
