//! Flash or RAM: what the whole file tells of the memory that a section lies in. The flags of one section alone do not: pages
//! for settings are written at run time, and a table that is not `const` stays where it is stored.
//!
//! ```text
//!   copied from there at the start: flash      copied to there: RAM      neither: by names, the vector table, then flags
//! ```

use super::layout::{self, is_named_flash};
use super::{Image, Machine};
use crate::region::{Region, merge};

/// What lies within this distance is taken for one memory; microcontroller memories are further apart.
pub(super) const SAME_MEMORY: u32 = 64 * 1024;

/// What is known of one stretch of memory.
#[derive(Clone, Copy, Default)]
struct Evidence {
    /// Startup code copies from here.
    is_source: bool,
    /// Startup code copies to here.
    is_target: bool,
    /// Something in it has no content in the file, or may be written.
    is_written: bool,
    /// A section says so by its name.
    is_named: bool,
    /// The vector table lies here, and the stack that it names does not.
    has_vectors: bool,
}

impl Evidence {
    fn is_flash(self) -> bool {
        match (self.is_source, self.is_target) {
            (true, false) => true,
            (_, true) => false,
            (false, false) => self.is_named || self.has_vectors || !self.is_written,
        }
    }
}

/// Notes of each section whether it lies in flash, and takes it back of those that are stored there that the program may write
/// them.
pub(super) fn settle(image: &mut Image) {
    if image.is_debug_only() {
        image.sections.iter_mut().for_each(|section| section.in_flash = !section.writable);
        return;
    }
    let ranges: Vec<Region> =
        image.sections.iter().flat_map(|section| [Some(section.run), section.load]).flatten().collect();
    let stretches = merge(&ranges, SAME_MEMORY);
    let place = |address: u32| stretches.partition_point(|stretch| stretch.start() <= address).checked_sub(1);
    let mut known = vec![Evidence::default(); stretches.len()];
    for section in &image.sections {
        let copied = section.load.filter(|load| *load != section.run);
        if let Some(of) = copied.and_then(|load| place(load.start())).and_then(|place| known.get_mut(place)) {
            of.is_source = true;
        }
        if let Some(of) = place(section.run.start()).and_then(|place| known.get_mut(place)) {
            of.is_target |= copied.is_some();
            of.is_written |= section.writable || !section.is_stored;
            of.is_named |= is_named_flash(&section.name);
        }
    }
    let vectors = layout::vectors(image).zip(layout::initial_sp(image));
    if let Some((vectors, _)) =
        vectors.filter(|(vectors, sp)| image.machine == Machine::Arm && are_apart(*vectors, *sp))
        && let Some(of) = place(vectors.start()).and_then(|place| known.get_mut(place))
    {
        of.has_vectors = true;
    }
    for section in &mut image.sections {
        section.in_flash = place(section.run.start()).is_some_and(|place| known[place].is_flash());
        section.writable &= !(section.in_flash && section.load == Some(section.run));
    }
}

/// Whether a vector table and the stack that it names cannot be in one memory. Code that a debugger put into SRAM has both
/// there, which begins at 0x2000_0000 (ARM DDI 0403E B3.1).
fn are_apart(vectors: Region, sp: u32) -> bool {
    const SRAM: Region = Region::new(0x2000_0000, 0x2000_0000);
    let stack = Region::new(sp.saturating_sub(4), 4);
    let gap = vectors.gap_to(stack).or_else(|| stack.gap_to(vectors)).unwrap_or(0);
    gap > layout::FAR && !SRAM.covers(vectors)
}
