//! "Would it fit?": what is asked about, a number of bytes or a thread's stack.

use std::str::FromStr;

use super::snapshot::{Heap, Snapshot, Stack};
use crate::region::Region;
use crate::units;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A block of so many bytes.
    Bytes(u32),
    /// A stack as large as that of this name, were its thread started now.
    Stack(String),
}

/// What has to be allocated, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Bytes of the block, or of the stack.
    pub bytes: u32,
    /// Bytes of the thread's control block, when the thread that is asked about has its own in the same heap as its stack.
    pub control_block: Option<u32>,
}

impl Demand {
    /// One block.
    #[must_use]
    pub fn of(bytes: u32) -> Self {
        Self { bytes, control_block: None }
    }

    fn of_thread(stack: &Stack, heap: &Heap) -> Self {
        let beside = |block: &Region| heap.range.covers(*block) && !stack.range.overlaps(*block);
        let control_block = stack.control_block.filter(|block| heap.range.covers(stack.range) && beside(block));
        Self { bytes: stack.range.size(), control_block: control_block.map(Region::size) }
    }

    /// The sizes in bytes in the order in which they are asked for: a stack before its control block, as FreeRTOS does where
    /// stacks grow down (`xTaskCreate`, tasks.c, V9 to V11).
    pub fn sizes(self) -> impl Iterator<Item = u32> {
        std::iter::once(self.bytes).chain(self.control_block)
    }
}

impl FromStr for Question {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().parse::<u64>().map(u32::try_from) {
            Ok(Ok(0) | Err(_)) => Err("a number of bytes from 1 to 4294967295, or a thread's name".into()),
            Ok(Ok(bytes)) => Ok(Self::Bytes(bytes)),
            Err(_) if text.trim().is_empty() => Err("a number of bytes, or a thread's name".into()),
            Err(_) => Ok(Self::Stack(text.trim().to_owned())),
        }
    }
}

impl Question {
    /// What that takes from a heap.
    ///
    /// # Errors
    ///
    /// There is no stack of that name, and perhaps one of nearly that name.
    pub fn demand(&self, snapshot: &Snapshot, heap: &Heap) -> Result<Demand, String> {
        let name = match self {
            Self::Bytes(bytes) => return Ok(Demand::of(*bytes)),
            Self::Stack(name) => name,
        };
        if let Some(stack) = snapshot.stacks.iter().find(|stack| stack.name == *name) {
            return Ok(Demand::of_thread(stack, heap));
        }
        let near = units::nearest(name, snapshot.stacks.iter().map(|stack| stack.name.as_str()));
        let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        Err(format!("no stack is called {}{near}", units::printable(name, 40)))
    }

    /// Whose stack is asked about.
    #[must_use]
    pub fn stack(&self) -> Option<&str> {
        match self {
            Self::Bytes(_) => None,
            Self::Stack(name) => Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing;

    #[test]
    fn it_is_a_number_or_the_name_of_a_stack_that_is_there() {
        let snapshot =
            Snapshot { stacks: vec![testing::stack("growth", 0), testing::stack("comms", 0)], ..testing::live(1) };
        let (range, heap) = (snapshot.stacks[0].range, Heap::unknown("heap", Region::new(0x2000_0000, 0x1000)));
        for (text, expected) in [
            ("2048", Ok(Demand::of(2048))),
            (" 1 ", Ok(Demand::of(1))),
            ("growth", Ok(Demand::of(range.size()))),
            ("growht", Err("no stack is called growht; did you mean growth?".to_owned())),
            ("nobody", Err("no stack is called nobody".to_owned())),
        ] {
            let question: Question = text.parse().expect("it can be asked");
            assert_eq!(question.demand(&snapshot, &heap), expected, "{text}");
        }
        for text in ["0", "4294967296", "", "  "] {
            assert!(text.parse::<Question>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_control_block_counts_when_it_lies_beside_its_stack_in_the_heap() {
        let heap = Heap::unknown("heap", Region::new(0x2000_0000, 0x1000));
        for (block, expected) in [
            (None, None),
            (Some(Region::new(0x2000_0800, 92)), Some(92)),
            // Linked, or taken from another heap.
            (Some(Region::new(0x2000_2000, 92)), None),
            // Part of its stack.
            (Some(Region::new(0x2000_0100, 92)), None),
        ] {
            let stack = Stack { control_block: block, ..testing::stack("growth", 0) };
            let snapshot = Snapshot { stacks: vec![stack], ..testing::live(1) };
            let demand = Question::Stack("growth".into()).demand(&snapshot, &heap).expect("it is there");
            assert_eq!(demand.control_block, expected, "{block:?}");
            assert_eq!(demand.sizes().count(), 1 + usize::from(expected.is_some()));
        }
    }
}
