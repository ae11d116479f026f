//! Nothing to build: `links` in the manifest needs a build script, and keeps two versions out of one firmware.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
