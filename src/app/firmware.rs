//! From the command line's words to an ELF, what lies beside it, and its chip.

use std::path::{Path, PathBuf};

use super::watch::{Stamp, Watcher};
use super::{Failure, find};
use crate::cli::{ChipArgs, Firmware};
use crate::config;
use crate::image::layout::{self, Memory};
use crate::image::other::Other;
use crate::image::{Image, ImageError};
use crate::source::chip::{Chip, ChipError};

/// The variable that `--chip` is taken from.
const CHIP_VARIABLE: &str = "PROBE_RS_CHIP";

/// The ELF, with the frame sizes that lie beside it.
///
/// # Errors
///
/// It is no firmware, or the folder of `--su` has no frame sizes.
pub(super) fn image(firmware: &Firmware) -> Result<Image, Failure> {
    read(firmware, &path(firmware)?)
}

/// The same for any machine: for what the symbols alone tell.
///
/// # Errors
///
/// See [`image`].
pub(super) fn any_image(firmware: &Firmware) -> Result<Image, Failure> {
    with_files_beside(firmware, Image::open_any(&path(firmware)?))
}

/// The ELF at `path`, with what else `firmware` names.
///
/// # Errors
///
/// See [`image`].
pub(super) fn read(firmware: &Firmware, path: &Path) -> Result<Image, Failure> {
    with_files_beside(firmware, Image::open(path))
}

fn with_files_beside(firmware: &Firmware, opened: Result<Image, ImageError>) -> Result<Image, Failure> {
    let mut image = opened.map_err(|error| Failure::Error(error.to_string()))?;
    beside(&mut image, firmware)?;
    Ok(image)
}

/// Reads what lies beside an ELF into its image.
///
/// # Errors
///
/// It makes no sense, or the folder of `--su` has no frame sizes.
pub(super) fn beside(image: &mut Image, firmware: &Firmware) -> Result<(), Failure> {
    if let Some(folder) = &firmware.su {
        let functions = image.read_stack_usage(folder).map_err(|error| Failure::Error(error.to_string()))?;
        if functions == 0 {
            return Err(Failure::Error(format!(
                "{} has no .su files with stack frames in it; build with -fstack-usage, and give the folder they are in",
                folder.display()
            )));
        }
    }
    for given in &firmware.also {
        image.others.push(Other::open(given).map_err(|error| Failure::Error(error.to_string()))?);
    }
    Ok(())
}

/// Watches the ELF at `path` for builds after `opened`, in the memories that the chip is known to have.
pub(super) fn watcher(firmware: &Firmware, path: &Path, opened: Stamp, known: Vec<Memory>) -> Watcher {
    let (firmware, place) = (firmware.clone(), path.to_owned());
    Watcher::new(path.to_owned(), opened, move || {
        let image =
            read(&firmware, &place).map_err(|failure| failure.message().unwrap_or("it cannot be read").to_owned())?;
        let memories = layout::memories(&image, &known);
        Ok((image, memories))
    })
}

/// The ELF that was named, or the only one that a build system left here.
///
/// # Errors
///
/// None is named, and here is none, or several.
pub(super) fn path(firmware: &Firmware) -> Result<PathBuf, Failure> {
    if let Some(elf) = &firmware.elf {
        return Ok(elf.clone());
    }
    let found = find::firmware(std::path::Path::new("."), |name| std::env::var_os(name));
    match found.as_slice() {
        [one] => {
            eprintln!("no ELF is named: taking {}, the only one built here ({})", printable(&one.path), one.by);
            Ok(one.path.clone())
        }
        [] => Err(Failure::Usage(
            "no ELF is named, and neither Cargo, Zephyr, PlatformIO, Mbed nor CMake built one for Arm in this folder; give the \
             linker's output as <ELF>: `highwater attach path/to/firmware.elf`"
                .into(),
        )),
        several => {
            let list: Vec<_> =
                several.iter().map(|found| format!("  {} ({})", printable(&found.path), found.by)).collect();
            Err(Failure::Usage(format!("no ELF is named, and there are several; give one of them as <ELF>:\n{}", list.join("\n"))))
        }
    }
}

/// A path as it may be printed.
pub(super) fn printable(path: &std::path::Path) -> String {
    crate::units::printable(&path.to_string_lossy(), 4096)
}

/// The chip by the flag or by what the project says; `None` when nobody says.
///
/// # Errors
///
/// There is no such chip.
pub(super) fn chip(args: &ChipArgs, image: &Image) -> Result<Option<Chip>, Failure> {
    let folder = std::env::current_dir().unwrap_or_default();
    let Some(found) = config::chip(args.chip.as_deref(), image, &folder) else { return Ok(None) };
    match Chip::find(&found.name, args.chip_description_path.as_deref()) {
        Ok(chip) => Ok(Some(chip)),
        Err(error @ ChipError::Description { .. }) => Err(Failure::Error(error.to_string())),
        Err(error) if found.is_hint => {
            tracing::info!("no chip is taken from {}: {error}", found.said_by);
            Ok(None)
        }
        Err(error) => {
            // The parser does not tell a flag from its variable, and a variable is easily forgotten.
            let by_variable = std::env::var(CHIP_VARIABLE).is_ok_and(|name| name == found.name);
            let by_file = args.said_by.as_deref().filter(|_| args.chip.as_ref() == Some(&found.name));
            let said_by = by_file.unwrap_or(if by_variable { CHIP_VARIABLE } else { &found.said_by });
            Err(Failure::Error(format!("{error} (named by {said_by})")))
        }
    }
}
