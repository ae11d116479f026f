//! How many bytes of stack each function of the firmware takes for itself, and who says so.
//!
//! Why the largest of them matters to a scan: a function may reserve its whole frame and write only its far end, which
//! leaves a hole of paint behind. No hole is larger than the largest frame, so a scan that looks that far below the mark
//! misses nothing (see `stack::watermark`).

mod cfi;
mod names;
mod stack_sizes;
pub mod su;

use std::collections::HashMap;

use super::elf_file::ElfFile;
use names::Name;

/// Who says how large a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// LLVM, in `.stack_sizes`.
    StackSizes,
    /// The debug information, in `.debug_frame` or `.eh_frame`.
    Cfi,
    /// The compiler, in a `.su` file.
    Su,
    /// The function's own instructions.
    Code,
}

/// The frame of one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Bytes between SP when the function is entered and the lowest SP that it sets itself.
    pub bytes: u32,
    /// Who says so.
    pub origin: Origin,
    /// It may be larger: its size depends on the running program (alloca, an array of variable length).
    pub dynamic: bool,
}

/// The frames of all functions, by address and, from `.su` files, by name.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    by_address: HashMap<u32, Frame>,
    /// With its parameters.
    by_name: HashMap<String, Frame>,
    /// Without them.
    by_base: HashMap<String, Frame>,
}

impl Frames {
    /// Reads what the ELF says.
    pub(super) fn read(file: &ElfFile<'_>) -> Self {
        let mut frames = Self::default();
        // An offset from a frame pointer says nothing of the locals below it, so it is no frame.
        for entry in cfi::entries(file).into_iter().filter(|entry| entry.from_sp) {
            frames.add(entry.address, Frame { bytes: entry.bytes, origin: Origin::Cfi, dynamic: false });
        }
        for (address, bytes) in stack_sizes::read(file) {
            frames.add(address, Frame { bytes, origin: Origin::StackSizes, dynamic: false });
        }
        frames
    }

    /// Adds what `.su` files say. Of several functions of one name, in different files, the largest counts.
    pub fn add_usage(&mut self, usage: &[su::Usage]) {
        for told in usage {
            let frame = Frame { bytes: told.bytes, origin: Origin::Su, dynamic: told.dynamic };
            let Name { whole, base } = Name::of_usage(&told.function);
            for (names, name) in [(&mut self.by_name, whole), (&mut self.by_base, base)] {
                let known = names.entry(name).or_insert(frame);
                *known = larger(*known, frame);
            }
        }
    }

    /// The frame of the function at `address` whose symbol is `name`; the largest, when several say one.
    #[must_use]
    pub fn get(&self, address: u32, name: &str) -> Option<Frame> {
        let by_name = || {
            let Name { whole, base } = Name::of_symbol(name);
            self.by_name.get(&whole).or_else(|| self.by_base.get(&base))
        };
        // Most firmwares come without `.su` files, and demangling costs.
        let by_name = if self.by_name.is_empty() { None } else { by_name().copied() };
        match (self.by_address.get(&address).copied(), by_name) {
            (Some(one), Some(other)) => Some(larger(one, other)),
            (one, other) => one.or(other),
        }
    }

    fn add(&mut self, address: u32, frame: Frame) {
        let known = self.by_address.entry(address).or_insert(frame);
        *known = larger(*known, frame);
    }
}

/// The one with more bytes; dynamic when either is.
pub(super) fn larger(one: Frame, other: Frame) -> Frame {
    let larger = if other.bytes > one.bytes { other } else { one };
    Frame { dynamic: one.dynamic || other.dynamic, ..larger }
}

/// The largest distance between a function's canonical frame address and its SP, in bytes; `None` when the file
/// does not tell.
pub(super) fn largest(file: &ElfFile<'_>) -> Option<u32> {
    cfi::entries(file).into_iter().map(|entry| entry.bytes).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_several_sayings_counts() {
        let mut frames = Frames::default();
        frames.add(0x100, Frame { bytes: 16, origin: Origin::Cfi, dynamic: false });
        frames.add(0x100, Frame { bytes: 24, origin: Origin::StackSizes, dynamic: false });
        let usage = |bytes, dynamic| su::Usage { function: "main".into(), bytes, dynamic };
        frames.add_usage(&[usage(40, false), usage(8, true)]);
        assert_eq!(frames.get(0x100, "other"), Some(Frame { bytes: 24, origin: Origin::StackSizes, dynamic: false }));
        assert_eq!(frames.get(0x100, "main"), Some(Frame { bytes: 40, origin: Origin::Su, dynamic: true }));
        assert_eq!(frames.get(0x200, "none"), None);
    }
}
