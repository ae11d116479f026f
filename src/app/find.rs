//! Looks for the firmware where build systems put it, for when no ELF is named.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Build systems and where each leaves its ELF, below the project's folder. A lone `*` stands for any one name, and
/// `*.elf` for any name that ends so.
const PLACES: [(&str, &[&str]); 5] = [
    ("Cargo", &["target", "thumb*", "debug", "*"]),
    ("Cargo", &["target", "thumb*", "release", "*"]),
    ("Zephyr", &["build", "zephyr", "zephyr.elf"]),
    ("PlatformIO", &[".pio", "build", "*", "firmware.elf"]),
    ("CMake", &["build", "*.elf"]),
];

/// The most names looked at in one folder.
const MAX_NAMES: usize = 4096;

/// A firmware that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The ELF.
    pub path: PathBuf,
    /// Whose folder it lies in.
    pub by: &'static str,
}

/// Every Arm executable where a build system below `folder` would put it, in the order of the places.
#[must_use]
pub fn firmware(folder: &Path) -> Vec<Found> {
    let mut found = Vec::new();
    for (by, pattern) in PLACES {
        let mut paths = vec![folder.to_path_buf()];
        for part in pattern {
            paths = paths.iter().flat_map(|path| step(path, part)).take(MAX_NAMES).collect();
        }
        found.extend(paths.into_iter().filter(|path| is_arm_executable(path)).map(|path| Found { path, by }));
    }
    found
}

/// The entries of a folder whose names fit, sorted.
fn step(folder: &Path, part: &str) -> Vec<PathBuf> {
    let Some((start, end)) = part.split_once('*') else { return vec![folder.join(part)] };
    let fits = |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with(start) && name.ends_with(end));
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> =
        entries.take(MAX_NAMES).flatten().filter(|entry| fits(&entry.file_name())).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Whether the ELF header (System V ABI, chapter 4) says 32 bits, little-endian, `ET_EXEC`, `EM_ARM`.
fn is_arm_executable(path: &Path) -> bool {
    // A pipe would wait for its writer.
    if !path.is_file() {
        return false;
    }
    let mut header = [0; 20];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut header)).is_ok()
        && header.starts_with(b"\x7fELF\x01\x01")
        && header[16..] == [2, 0, 40, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, name: &str, kind: u8, machine: u8) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut header = [0; 64];
        header[..6].copy_from_slice(b"\x7fELF\x01\x01");
        (header[16], header[18]) = (kind, machine);
        std::fs::write(path, header).unwrap();
    }

    #[test]
    fn each_build_system_is_known_by_its_folder() {
        for (name, by) in [
            ("target/thumbv7em-none-eabihf/debug/app", "Cargo"),
            ("target/thumbv6m-none-eabi/release/app", "Cargo"),
            ("build/zephyr/zephyr.elf", "Zephyr"),
            (".pio/build/uno/firmware.elf", "PlatformIO"),
            ("build/app.elf", "CMake"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            put(folder.path(), name, 2, 40);
            assert_eq!(firmware(folder.path()), [Found { path: folder.path().join(name), by }], "{name}");
        }
    }

    #[test]
    fn what_is_no_arm_executable_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "build/object.elf", 1, 40);
        put(folder.path(), "build/host.elf", 2, 62);
        std::fs::write(folder.path().join("build/short.elf"), b"\x7fELF").unwrap();
        std::fs::create_dir(folder.path().join("build/folder.elf")).unwrap();
        assert_eq!(firmware(folder.path()), []);
    }

    #[test]
    fn all_of_several_are_found() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "build/b.elf", 2, 40);
        put(folder.path(), "build/a.elf", 2, 40);
        assert_eq!(firmware(folder.path()).len(), 2);
    }
}
