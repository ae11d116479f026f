// The hash of everything that determines the demo firmware.
//
// The build script puts it into the ELF, and a test of the host computes it again: a committed ELF that is older than
// its sources does not go unnoticed. Both include this file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What comes before the hash in the ELF. It is made of two parts so that no other binary contains it by accident.
pub const MARKER: &str = concat!("highwater-demo-", "sources:");

/// Files and directories that determine the firmware, relative to `target-agent`.
const INPUTS: [&str; 10] = [
    "Cargo.toml",
    "build.rs",
    "demo/.cargo/config.toml",
    "demo/Cargo.lock",
    "demo/Cargo.toml",
    "demo/build.rs",
    "demo/build.sh",
    "demo/demo.x",
    "demo/src",
    "src",
];

/// The hash over names and contents of all inputs below `target_agent`, as 16 hexadecimal digits.
pub fn hash(target_agent: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for input in INPUTS {
        collect(&target_agent.join(input), &mut files)?;
    }
    let mut named = Vec::new();
    for file in files {
        let name = file.strip_prefix(target_agent).map_err(io::Error::other)?;
        let parts: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
        named.push((parts.join("/"), fs::read(&file)?));
    }
    named.sort();

    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    for (name, contents) in named {
        hash.add(name.as_bytes());
        hash.add(&[0]);
        // A checkout may turn line ends around.
        let text: Vec<u8> = contents.into_iter().filter(|byte| *byte != b'\r').collect();
        hash.add(&text);
        hash.add(&[0]);
    }
    Ok(format!("{:016x}", hash.0))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

/// 64-bit FNV-1a.
struct Fnv(u64);

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
