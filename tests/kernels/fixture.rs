//! Compiles the C programs of the fixtures, and loads them as memory that can be damaged.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use highwater::image::Image;

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kernels")
}

/// Compiles `sources` with `flags` and opens what comes out.
pub(crate) fn compile(sources: &[&str], flags: &[&str]) -> Image {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let elf = std::env::temp_dir().join(format!("highwater-fixture-{}-{number}.elf", std::process::id()));
    let output = Command::new("arm-none-eabi-gcc")
        .current_dir(folder())
        .args(["-mcpu=cortex-m3", "-mthumb", "-O0", "-ffreestanding", "-nostdlib", "-Wall", "-Wextra", "-Werror"])
        .args(["-Tboard.ld", "-Wl,-e,reset", "-Wl,--no-warn-rwx-segments", "-o"])
        .arg(&elf)
        .args(flags)
        .args(sources)
        .output()
        .expect("arm-none-eabi-gcc is installed: apt-get install gcc-arm-none-eabi");
    assert!(output.status.success(), "{sources:?}: {}", String::from_utf8_lossy(&output.stderr));
    let image = Image::open(&elf).expect("what was linked opens");
    std::fs::remove_file(&elf).expect("it was written");
    image
}
