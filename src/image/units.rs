//! Which compiled unit each function and static came from, by the debug information.

use gimli::{AttributeValue, DwarfSections, EndianSlice, RunTimeEndian};
use object::Object;

use super::elf_file::ElfFile;
use crate::region::Region;

/// The most ranges that are kept.
const MOST_RANGES: usize = 1 << 21;
/// The most entries that are looked at.
const MOST_ENTRIES: usize = 1 << 23;

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

/// The files that units were compiled from, by address.
#[derive(Clone, Debug, Default)]
pub struct Units {
    files: Vec<String>,
    /// Range and place in `files`, in address order.
    ranges: Vec<(Region, usize)>,
}

impl Units {
    pub(super) fn read(file: &ElfFile<'_>) -> Self {
        let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let load = |id: gimli::SectionId| -> Result<_, gimli::Error> { Ok(file.section(id.name())) };
        let mut found = Self::default();
        let Ok(sections) = DwarfSections::load(load) else { return found };
        let dwarf = sections.borrow(|section| EndianSlice::new(section, endian));
        let mut budget = MOST_ENTRIES;
        let mut units = dwarf.units();
        while let Ok(Some(header)) = units.next() {
            if let Ok(unit) = dwarf.unit(header) {
                let _ = found.unit(&dwarf, &unit, &mut budget);
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

    fn unit(
        &mut self,
        dwarf: &gimli::Dwarf<Slice<'_>>,
        unit: &gimli::Unit<Slice<'_>>,
        budget: &mut usize,
    ) -> gimli::Result<()> {
        let name = unit.name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        self.files.push(crate::units::printable(name, 256));
        let file = self.files.len() - 1;
        let mut ranges = dwarf.unit_ranges(unit)?;
        while let Some(range) = ranges.next()? {
            let (Ok(start), Ok(end)) = (u32::try_from(range.begin), u32::try_from(range.end)) else { continue };
            self.add(Region::between(start, end), file);
        }
        // A unit's ranges are of code; its statics say one by one where they are.
        let mut entries = unit.entries_raw(None)?;
        while *budget > 0 && !entries.is_empty() {
            *budget -= 1;
            let Some(kind) = entries.read_abbreviation()? else { continue };
            if kind.tag() != gimli::DW_TAG_variable {
                entries.skip_attributes(kind.attributes())?;
                continue;
            }
            for attribute in kind.attributes() {
                let attribute = entries.read_attribute(*attribute)?;
                if attribute.name() == gimli::DW_AT_location
                    && let AttributeValue::Exprloc(place) = attribute.value()
                    && let Some(address) = fixed(dwarf, unit, place)
                {
                    self.add(Region::new(address, 1), file);
                }
            }
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

/// The address of a place that is one address and nothing else.
fn fixed(
    dwarf: &gimli::Dwarf<Slice<'_>>,
    unit: &gimli::Unit<Slice<'_>>,
    place: gimli::Expression<Slice<'_>>,
) -> Option<u32> {
    let mut operations = place.operations(unit.encoding());
    let address = match operations.next().ok()?? {
        gimli::Operation::Address { address } => address,
        gimli::Operation::AddressIndex { index } => dwarf.address(unit, index).ok()?,
        _ => return None,
    };
    operations.next().ok()?.is_none().then(|| u32::try_from(address).ok())?
}
