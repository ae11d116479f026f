//! Looks for the firmware where build systems put it, for when no ELF is named.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Build systems other than Cargo, and where each leaves its ELF, below the project's folder. A lone `*` stands for any
/// one name, and `*.elf` for any name that ends so.
const PLACES: [(&str, &[&str]); 5] = [
    ("Zephyr", &["build", "zephyr", "zephyr.elf"]),
    ("PlatformIO", &[".pio", "build", "*", "firmware.elf"]),
    // Mbed CLI 1: target, toolchain; Mbed CLI 2: target, profile, toolchain.
    ("Mbed", &["BUILD", "*", "*", "*.elf"]),
    ("Mbed", &["cmake_build", "*", "*", "*", "*.elf"]),
    ("CMake", &["build", "*.elf"]),
];

/// Cargo's variables for the folder of its artifacts, the one that counts first.
const TARGET_DIR_VARIABLES: [&str; 2] = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];
/// The largest configuration of Cargo that is read.
const MAX_CONFIG: u64 = 1 << 20;

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

/// Every Arm executable where a build system below `folder` would put it, in the order of the places; `variable` gives
/// the environment's.
#[must_use]
pub fn firmware(folder: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut look = |by, root: &Path, pattern: &[&str]| {
        let mut paths = vec![root.to_path_buf()];
        for part in pattern {
            paths = paths.iter().flat_map(|path| step(path, part)).take(MAX_NAMES).collect();
        }
        for path in paths.into_iter().filter(|path| is_arm_executable(path)) {
            if !found.iter().any(|known: &Found| known.path == path) {
                found.push(Found { path, by });
            }
        }
    };
    let cargo = Cargo::of(folder);
    let by_variable = TARGET_DIR_VARIABLES.into_iter().find_map(variable).filter(|dir| !dir.is_empty());
    let artifacts = by_variable.map(|dir| folder.join(dir)).or(cargo.target_dir);
    let artifacts = artifacts.unwrap_or_else(|| folder.join("target"));
    for target in cargo.targets.iter().map(String::as_str).chain(["thumb*"]) {
        for profile in ["debug", "release"] {
            look("Cargo", &artifacts, &[target, profile, "*"]);
        }
    }
    for (by, pattern) in PLACES {
        look(by, folder, pattern);
    }
    found
}

/// What Cargo's configuration says of where it builds.
#[derive(Debug, Default)]
struct Cargo {
    /// `build.target-dir`.
    target_dir: Option<PathBuf>,
    /// The folders of `build.target`: a target of one's own is named after its file.
    targets: Vec<String>,
}

impl Cargo {
    /// The nearest word on each, from `folder` upward; what is no configuration says nothing.
    fn of(folder: &Path) -> Self {
        let mut cargo = Self::default();
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
        for above in folder.ancestors() {
            let files = ["config.toml", "config"].map(|name| above.join(".cargo").join(name));
            let Some(build) = files.iter().find_map(|file| build_table(file)) else { continue };
            if cargo.target_dir.is_none() {
                // A path in a configuration begins where the folder `.cargo` lies.
                let dir = build.get("target-dir").and_then(toml::Value::as_str);
                cargo.target_dir = dir.map(|dir| above.join(dir));
            }
            if cargo.targets.is_empty() {
                let named: Vec<&str> = match build.get("target") {
                    Some(toml::Value::String(target)) => vec![target],
                    Some(toml::Value::Array(targets)) => targets.iter().filter_map(toml::Value::as_str).collect(),
                    _ => Vec::new(),
                };
                let stem = |name: &&str| Some(Path::new(name).file_stem()?.to_str()?.to_owned());
                // `thumbv8m.main-none-eabi` has a dot and is no file.
                let is_file = |name: &str| name.ends_with(".json");
                let names =
                    named.iter().filter_map(|name| if is_file(name) { stem(name) } else { Some((*name).into()) });
                cargo.targets = names.filter(|name: &String| !name.contains(['*', '/', '\\'])).collect();
            }
        }
        cargo
    }
}

/// The table `build` of one configuration.
fn build_table(file: &Path) -> Option<toml::Table> {
    let size = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?.len();
    let text = (size <= MAX_CONFIG).then(|| std::fs::read_to_string(file).ok())??;
    match text.parse::<toml::Table>().ok()?.remove("build")? {
        toml::Value::Table(build) => Some(build),
        _ => None,
    }
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
            ("BUILD/K64F/GCC_ARM/app.elf", "Mbed"),
            ("cmake_build/K64F/develop/GCC_ARM/app.elf", "Mbed"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            put(folder.path(), name, 2, 40);
            assert_eq!(firmware(folder.path(), |_| None), [Found { path: folder.path().join(name), by }], "{name}");
        }
    }

    #[test]
    fn what_is_no_arm_executable_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "build/object.elf", 1, 40);
        put(folder.path(), "build/host.elf", 2, 62);
        std::fs::write(folder.path().join("build/short.elf"), b"\x7fELF").unwrap();
        std::fs::create_dir(folder.path().join("build/folder.elf")).unwrap();
        assert_eq!(firmware(folder.path(), |_| None), []);
    }

    #[test]
    fn cargos_artifacts_are_found_where_its_settings_put_them() {
        let config = |folder: &Path, text: &str| {
            std::fs::create_dir_all(folder.join(".cargo")).unwrap();
            std::fs::write(folder.join(".cargo/config.toml"), text).unwrap();
        };
        let place = tempfile::tempdir().unwrap();
        let project = place.path().join("project");
        put(place.path(), "project/target/thumbv7m-none-eabi/debug/app", 2, 40);
        put(place.path(), "out/thumbv7m-none-eabi/release/app", 2, 40);
        put(place.path(), "elsewhere/thumbv6m-none-eabi/debug/app", 2, 40);
        put(place.path(), "out/mine/debug/app", 2, 40);
        let found = |variable: Option<&Path>| -> Vec<PathBuf> {
            let found = firmware(&project, |name| variable.filter(|_| name == "CARGO_TARGET_DIR").map(Into::into));
            found.into_iter().map(|found| found.path.strip_prefix(place.path()).unwrap().to_path_buf()).collect()
        };
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(found(None), paths(&["project/target/thumbv7m-none-eabi/debug/app"]));
        // A configuration above the project counts, relative to where it lies.
        config(place.path(), "[build]\ntarget-dir = \"out\"\ntarget = \"targets/mine.json\"\n");
        let both = ["out/mine/debug/app", "out/thumbv7m-none-eabi/release/app"];
        assert_eq!(found(None), paths(&both));
        // The variable goes before it, and what is no configuration says nothing.
        let elsewhere = place.path().join("elsewhere");
        assert_eq!(found(Some(&elsewhere)), paths(&["elsewhere/thumbv6m-none-eabi/debug/app"]));
        config(&project, "[build\n");
        assert_eq!(found(None), paths(&both));
    }

    #[test]
    fn all_of_several_are_found() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "build/b.elf", 2, 40);
        put(folder.path(), "build/a.elf", 2, 40);
        assert_eq!(firmware(folder.path(), |_| None).len(), 2);
    }
}
