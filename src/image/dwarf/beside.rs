//! Debug information in files beside the ELF: `-gsplit-dwarf` leaves it in one `.dwo` file for each object file, and `dwp`
//! packs those into one `.dwp` (DWARF 5, 7.3; GCC's form for DWARF 4 has the same parts under other names).

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};

use gimli::{
    AbbreviationsCacheStrategy, Dwarf, DwarfFileType, DwarfPackage, DwoId, EndianArcSlice, Reader, RunTimeEndian,
    UnitHeader,
};

use super::{MAX_UNITS, Slice, section, wanted};
use crate::image::content::Content;
use crate::image::elf_file::ElfFile;
use crate::units::printable;

/// The largest file that is read.
const MAX_FILE: u64 = 1 << 30;
/// The most bytes that are read of all of them.
const MAX_ALL: u64 = 4 << 30;

/// Debug information that the ELF names and that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::image) struct Missing {
    /// How many units it is of.
    units: usize,
    /// The first file that is named, and why it cannot be used.
    first: String,
    why: &'static str,
    /// Where a package of all of them is looked for.
    package: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { units, first, why, package } = self;
        let of = if *units == 1 { "1 file".into() } else { format!("{units} files") };
        write!(
            f,
            "the debug information of {of} was split off (-gsplit-dwarf), and {first} {why}: leave the .dwo files where they \
             were written, or pack them into {package} (dwp -e)"
        )
    }
}

/// Whether a unit of the ELF only says where the rest of it is.
pub(super) fn is_skeleton(dwarf: &Dwarf<Slice>, header: &UnitHeader<Slice>) -> bool {
    match header.type_() {
        gimli::UnitType::Skeleton(_) => true,
        // GCC's form for DWARF 4, which only the unit's first entry tells.
        gimli::UnitType::Compilation if header.version() < 5 => {
            let Ok(abbreviations) = dwarf.abbreviations(header) else { return false };
            let mut entries = header.entries(&abbreviations);
            let first = entries.next_dfs().ok().flatten();
            first.is_some_and(|first| first.attr_value(gimli::DW_AT_GNU_dwo_name).is_some())
        }
        _ => false,
    }
}

/// What belongs to a skeleton, and the skeleton; what belongs to several has none.
type Found = (Dwarf<Slice>, Option<UnitHeader<Slice>>);

/// Looks for what belongs to the skeletons of the ELF at `path`.
pub(super) fn read(
    own: &Dwarf<Slice>,
    skeletons: Vec<UnitHeader<Slice>>,
    path: &Path,
) -> (Vec<Found>, Option<Missing>) {
    let packages = packages(path);
    let package = packages.iter().find_map(|path| package(path));
    let mut found = Vec::new();
    let mut missing: Option<Missing> = None;
    let mut budget = MAX_ALL;
    for header in skeletons {
        let Ok(skeleton) = own.unit(header.clone()) else { continue };
        let Some(id) = skeleton.dwo_id else { continue };
        if let Some(package) = &package
            && let Ok(Some(mut dwarf)) = package.find_cu(id, own)
        {
            dwarf.populate_abbreviations_cache(AbbreviationsCacheStrategy::Duplicates);
            found.push((dwarf, Some(header)));
            continue;
        }
        let text = |value: Slice| Some(value.to_string_lossy().ok()?.into_owned());
        let name = skeleton.dwo_name().ok().flatten().and_then(|name| own.attr_string(&skeleton, name).ok());
        let name = name.and_then(text).unwrap_or_default();
        let folder = skeleton.comp_dir.clone().and_then(text).unwrap_or_default();
        match object(path, &folder, &name, id, own, &mut budget) {
            Ok(dwarf) => found.push((dwarf, Some(header))),
            Err(why) => {
                let first = || Missing {
                    units: 0,
                    first: printable(&name, 120),
                    why,
                    package: packages[0]
                        .file_name()
                        .map(|name| printable(&name.to_string_lossy(), 80))
                        .unwrap_or_default(),
                };
                missing.get_or_insert_with(first).units += 1;
            }
        }
    }
    if let Some(package) = &package {
        let rows = 1..=package.tu_index.unit_count().min(MAX_UNITS as u32);
        found.extend(rows.filter_map(|row| Some((package.tu_sections(row, own).ok()?, None))));
    }
    (found, missing)
}

/// Where a package of the ELF's debug information is looked for: `app.elf.dwp` and `app.dwp`.
fn packages(path: &Path) -> [PathBuf; 2] {
    let mut whole = path.as_os_str().to_owned();
    whole.push(".dwp");
    [whole.into(), path.with_extension("dwp")]
}

fn package(path: &Path) -> Option<DwarfPackage<Slice>> {
    let content = content(path, &mut MAX_ALL.clone())?;
    let file = ElfFile::of(&content)?;
    let empty = EndianArcSlice::new(Vec::new().into(), RunTimeEndian::Little);
    // The parts of a unit are all cut out, those as well into which nobody looks.
    let load = |id: gimli::SectionId| -> Result<Slice, gimli::Error> {
        Ok(section(Some(&file), id.dwo_name().unwrap_or_else(|| id.name())))
    };
    DwarfPackage::load(load, empty).ok()
}

/// Reads the `.dwo` file of that name: where the compiler left it, or beside the ELF.
fn object(
    elf: &Path,
    folder: &str,
    name: &str,
    id: DwoId,
    own: &Dwarf<Slice>,
    budget: &mut u64,
) -> Result<Dwarf<Slice>, &'static str> {
    let beside = elf.parent().unwrap_or(Path::new(""));
    let mut places = vec![Path::new(folder).join(name), beside.join(name)];
    places.extend(Path::new(name).file_name().map(|name| beside.join(name)));
    let mut tried = HashSet::new();
    let mut why = "is not there";
    for place in places.iter().filter(|place| tried.insert(place.as_path())) {
        let Some(content) = content(place, budget) else { continue };
        let Some(file) = ElfFile::of(&content) else { continue };
        let load = |id: gimli::SectionId| -> Result<Slice, Infallible> {
            Ok(id.dwo_name().map_or_else(|| section(None, ""), |name| wanted(Some(&file), name, id)))
        };
        let Ok(mut dwarf) = Dwarf::load(load);
        dwarf.make_dwo(own);
        debug_assert_eq!(dwarf.file_type, DwarfFileType::Dwo);
        dwarf.populate_abbreviations_cache(AbbreviationsCacheStrategy::Duplicates);
        let mut units = dwarf.units();
        let is_same = std::iter::from_fn(|| units.next().ok().flatten())
            .any(|header| dwarf.unit(header).is_ok_and(|unit| unit.dwo_id == Some(id)));
        if is_same {
            return Ok(dwarf);
        }
        why = "is of another build";
    }
    Err(why)
}

/// A file's bytes, when it is one that may be read.
fn content(path: &Path, budget: &mut u64) -> Option<Content> {
    let found = Content::beside(path, MAX_FILE.min(*budget))?;
    *budget = budget.saturating_sub(found.first().len() as u64);
    Some(found)
}
