//! Links with the demo's own script, and gives the firmware the hash of its sources, which is its build id too.

use std::path::Path;
use std::{env, fs};

mod sources;

fn main() {
    let demo = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let agent = Path::new(&demo).parent().expect("the demo lies in target-agent");
    let hash = sources::hash(agent).expect("the sources can be read");
    println!("cargo::rustc-env=HIGHWATER_BUILD_ID={hash}");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let text = format!("{}{hash}\n", sources::MARKER);
    fs::write(Path::new(&out).join("sources.txt"), text).expect("the output directory can be written");

    println!("cargo::rustc-link-arg-bins=-T{demo}/demo.x");
    println!("cargo::rerun-if-changed={}", agent.join("src").display());
    println!("cargo::rerun-if-changed={}", agent.join("Cargo.toml").display());
    println!("cargo::rerun-if-changed={}", agent.join("build.rs").display());
    println!("cargo::rerun-if-changed={demo}");
}
