//! Compiles the C programs of the fixtures. The fuzz target of the kernels uses this file too.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use highwater::image::Image;
use highwater::region::Region;

/// Where the programs are: in this package, or in the one that the fuzz targets belong to.
fn folder() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    packages.map(|package| package.join("tests/fixtures/kernels")).find(|folder| folder.is_dir()).expect("it is there")
}

/// Compiles `sources` with `flags` and opens what comes out.
pub(crate) fn compile(sources: &[&str], flags: &[&str]) -> Image {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let elf = std::env::temp_dir().join(format!("highwater-fixture-{}-{number}.elf", std::process::id()));
    let script = if flags.contains(&"-DMBED") { "-Tmbed.ld" } else { "-Tboard.ld" };
    let output = Command::new("arm-none-eabi-gcc")
        .current_dir(folder())
        .args(["-mcpu=cortex-m3", "-mthumb", "-O0", "-ffreestanding", "-nostdlib", "-Wall", "-Wextra", "-Werror"])
        .args([script, "-Wl,-e,reset", "-Wl,--no-warn-rwx-segments", "-o"])
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

/// What `ram` holds when the program begins: the linked bytes as they are copied there, and zeros.
pub(crate) fn loaded(image: &Image, ram: Region) -> Vec<u8> {
    let mut content = vec![0; ram.size() as usize];
    for segment in &image.segments {
        if let Some(offset) = ram.offset_of(segment.run.start()) {
            let stored = image.bytes(segment.run.bottom(segment.load.size())).expect("it is stored");
            content[offset as usize..offset as usize + stored.len()].copy_from_slice(stored);
        }
    }
    content
}
