//! Which compiled unit each function and static came from, by the debug information.

use gimli::Reader;

use super::dwarf::{Debug, Unit};
use super::types::Types;
use crate::region::Region;

/// The most ranges that are kept.
const MOST_RANGES: usize = 1 << 21;

/// The files that units were compiled from, by address.
#[derive(Clone, Debug, Default)]
pub struct Units {
    files: Vec<String>,
    /// Range and place in `files`, in address order.
    ranges: Vec<(Region, usize)>,
}

impl Units {
    pub(super) fn read(dwarf: &Debug, types: &Types) -> Self {
        let mut found = Self::default();
        let mut units = dwarf.units();
        while let Ok(Some(header)) = units.next() {
            let offset = header.debug_info_offset();
            if let Ok(unit) = dwarf.unit(header) {
                let _ = found.unit(dwarf, &unit);
                // A unit's ranges are of code; its statics say one by one where they are.
                let file = found.files.len() - 1;
                for address in offset.into_iter().flat_map(|offset| types.placed_by(offset.0)) {
                    found.add(Region::new(address, 1), file);
                }
            }
        }
        found.ranges.sort_unstable();
        found
    }

    /// The file that what lies at `address` was compiled from, without its folder.
    #[must_use]
    pub fn at(&self, address: u32) -> Option<&str> {
        let next = self.ranges.partition_point(|(range, _)| range.start() <= address);
        let (range, file) = self.ranges[..next].last()?;
        range.contains(address).then(|| self.files.get(*file).map(String::as_str))?
    }

    fn unit(&mut self, dwarf: &Debug, unit: &Unit) -> gimli::Result<()> {
        let name =
            unit.name.as_ref().and_then(|name| Some(name.to_string_lossy().ok()?.into_owned())).unwrap_or_default();
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        self.files.push(crate::units::printable(name, 256));
        let file = self.files.len() - 1;
        let mut ranges = dwarf.unit_ranges(unit)?;
        while let Some(range) = ranges.next()? {
            let (Ok(start), Ok(end)) = (u32::try_from(range.begin), u32::try_from(range.end)) else { continue };
            self.add(Region::between(start, end), file);
        }
        Ok(())
    }

    fn add(&mut self, range: Region, file: usize) {
        // A range at zero of a function that was thrown away would hide the vector table.
        let is_dead = range.start() == 0 && range.size() > 1;
        if !range.is_empty() && !is_dead && self.ranges.len() < MOST_RANGES {
            self.ranges.push((range, file));
        }
    }
}
