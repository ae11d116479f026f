//! Which compiled unit each function and static came from, by the debug information.

use gimli::Reader;

use super::dwarf::{Debug, Slice, Unit};
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

/// What GCC calls a unit that link-time optimisation made of several files: its entries say where they lie, and leave what they
/// are to the units of those files (`lto_cu_name` in GCC's `gcc/dwarf2out.cc`).
const OF_SEVERAL: &str = "<artificial>";

impl Units {
    pub(super) fn read(debug: &Debug, types: &Types) -> Self {
        let mut found = Self::default();
        found
            .files
            .extend((0..debug.len()).map(|number| debug.unit(number).map(|unit| name(&unit)).unwrap_or_default()));
        for number in 0..debug.len() {
            let Some(unit) = debug.unit(number) else { continue };
            if found.files[number] == OF_SEVERAL {
                let _ = found.origins(debug, types, &unit);
                continue;
            }
            let _ = found.unit(&unit, number);
            // A unit's ranges are of code; its statics say one by one where they are.
            for address in types.placed_by(number) {
                found.add(Region::new(address, 1), number);
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

    fn unit(&mut self, unit: &Unit<'_>, file: usize) -> gimli::Result<()> {
        self.add_all(unit.ranges()?, file)
    }

    /// Gives each function and static of a unit that was made of several files to the file that it came from.
    fn origins(&mut self, debug: &Debug, types: &Types, unit: &Unit<'_>) -> gimli::Result<()> {
        let mut entries = unit.unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            if !matches!(entry.tag(), gimli::DW_TAG_subprogram | gimli::DW_TAG_variable) {
                continue;
            }
            let origin = entry.attr_value(gimli::DW_AT_abstract_origin).and_then(|value| unit.reference(&value));
            let Some(file) = origin.and_then(|origin| debug.number_of(origin)) else { continue };
            if let Some(address) = types.placed_at(unit.place(entry.offset())) {
                self.add(Region::new(address, 1), file);
            } else if entry.tag() == gimli::DW_TAG_subprogram {
                self.add_all(unit.dwarf.die_ranges(&unit.unit, entry)?, file)?;
            }
        }
        Ok(())
    }

    fn add_all(&mut self, mut ranges: gimli::RangeIter<Slice>, file: usize) -> gimli::Result<()> {
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

/// The file that a unit was compiled from, without its folder.
fn name(unit: &Unit<'_>) -> String {
    let name = unit.unit.name.as_ref();
    let name = name.and_then(|name| Some(name.to_string_lossy().ok()?.into_owned())).unwrap_or_default();
    crate::units::printable(name.rsplit(['/', '\\']).next().unwrap_or_default(), 256)
}
