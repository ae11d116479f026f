//! C sources built for the tests, by the compilers of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What the agent's own sources must pass without a warning.
const STRICT: [&str; 6] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wconversion", "-Wshadow"];

/// As C only.
const STRICT_C: [&str; 2] = ["-Wmissing-prototypes", "-Wstrict-prototypes"];

/// The critical section of a host, where one thread runs.
const ON_HOST: [&str; 3] = [
    "-DHIGHWATER_ENTER()=0",
    "-DHIGHWATER_LEAVE(before)=((void)(before))",
    "-DHIGHWATER_PUBLISH()=__asm__ volatile(\"\" ::: \"memory\")",
];

/// A compiler and what it is told.
pub(crate) struct Build {
    command: Command,
    place: TempDir,
}

impl Build {
    /// `arm-none-eabi-gcc` for a core, without a library but what `link` asks for.
    pub(crate) fn board(core: &str) -> Self {
        Self::with("arm-none-eabi-gcc").flags(&["-mthumb", &format!("-mcpu={core}"), "-Os", "-g", "-std=c99"])
    }

    /// This machine's gcc.
    pub(crate) fn host() -> Self {
        Self::with("gcc").flags(&["-O1", "-std=c99"]).flags(&ON_HOST)
    }

    /// Any compiler of C or C++.
    pub(crate) fn with(compiler: &str) -> Self {
        let place = TempDir::new().expect("there is room for a folder");
        let mut command = Command::new(compiler);
        command.current_dir(ROOT).arg("-Itarget-agent/c").arg("-Itests/fixtures/c_agent");
        Self { command, place }
    }

    pub(crate) fn flags(mut self, flags: &[impl AsRef<str>]) -> Self {
        self.command.args(flags.iter().map(AsRef::as_ref));
        self
    }

    /// C, with every warning an error.
    pub(crate) fn strict(self) -> Self {
        self.flags(&STRICT).flags(&STRICT_C)
    }

    /// C++, with every warning an error.
    pub(crate) fn strict_cpp(self) -> Self {
        self.flags(&STRICT)
    }

    /// Sources that are not ours, in folders that `HIGHWATER_KERNELS` is the parent of.
    ///
    /// An entry that begins with `-I` is a folder of headers; `*` stands for any part of a file's name.
    pub(crate) fn theirs(mut self, entries: &[&str]) -> Self {
        let kernels = std::env::var_os("HIGHWATER_KERNELS").expect("HIGHWATER_KERNELS names the folder of the kernels");
        let kernels = PathBuf::from(kernels);
        for entry in entries {
            if let Some(folder) = entry.strip_prefix("-I") {
                self.command.arg("-isystem").arg(kernels.join(folder));
            } else if let Some((before, after)) = entry.split_once('*') {
                let (folder, start) = before.rsplit_once('/').expect("it lies in a folder");
                let found = std::fs::read_dir(kernels.join(folder)).expect("the kernel is there");
                let mut files: Vec<PathBuf> = found.map(|entry| entry.expect("it is listed").path()).collect();
                files.sort();
                let fits = |path: &PathBuf| {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    name.starts_with(start) && name.ends_with(after)
                };
                self.command.args(files.into_iter().filter(fits));
            } else {
                self.command.arg(kernels.join(entry));
            }
        }
        self
    }

    /// Files of the repository, from its root.
    pub(crate) fn files(self, files: &[&str]) -> Self {
        for file in files {
            assert!(Path::new(ROOT).join(file).exists(), "{file} is gone");
        }
        self.flags(files)
    }

    /// Builds, and gives the folder that goes when it is dropped, and the result in it.
    pub(crate) fn build(mut self) -> (TempDir, PathBuf) {
        let result = self.place.path().join("built");
        let output = self.command.arg("-o").arg(&result).output();
        let output = output.unwrap_or_else(|error| panic!("{:?} does not start: {error}", self.command));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}:\n{said}", self.command);
        (self.place, result)
    }

    /// Builds a firmware for the emulated board.
    pub(crate) fn firmware(self) -> Vec<u8> {
        let board = ["-nostartfiles", "-Wl,--gc-sections", "-ffunction-sections", "-Ttests/fixtures/c_agent/board.ld"];
        let (_place, path) = self.flags(&board).build();
        std::fs::read(path).expect("it was built")
    }
}
