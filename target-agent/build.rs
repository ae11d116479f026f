//! Tells the sources which processor they are built for, where `cfg` alone cannot: the names of Arm's profiles and
//! versions are not among the stable target features. It also satisfies `links` in the manifest, which keeps two
//! versions of the agent out of one firmware.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(highwater_cortex_m, highwater_in_order)");
    let target = env::var("TARGET").unwrap_or_default();
    if target.starts_with("thumbv") {
        println!("cargo::rustc-cfg=highwater_cortex_m");
    }
    // Cortex-M0 to M3 complete their stores in program order. `thumbv7em` may be an M7, and v8-M an M55 or M85:
    // those get a barrier.
    if target.starts_with("thumbv6m") || target.starts_with("thumbv7m-") {
        println!("cargo::rustc-cfg=highwater_in_order");
    }
}
