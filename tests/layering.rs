//! The invariants of ARCHITECTURE.md that can be read off the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// The code of all files below `folder`: comments and test modules left out.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("it is text");
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
                let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
                found.push((path, code.join("\n")));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

/// Checks that none of the files that `applies` picks has any of `words`.
fn forbid(words: &[&str], applies: impl Fn(&str) -> bool, why: &str) {
    for (path, code) in sources("src") {
        let name = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("it is below src");
        let name = name.to_string_lossy().replace('\\', "/");
        if applies(&name) {
            for word in words {
                assert!(!code.contains(word), "{name} says `{word}`: {why}");
            }
        }
    }
}

#[test]
fn probe_rs_is_named_where_the_probe_is_and_nowhere_else() {
    let allowed = |name: &str| {
        ["source/probe.rs", "source/mem_ap.rs", "source/chip.rs", "source/control.rs", "source/flash.rs"]
            .contains(&name)
            || name.starts_with("source/chip/")
            || name == "simulator.rs"
            || name.starts_with("simulator/")
    };
    forbid(&["probe_rs::", "probe_rs_target::"], |name| !allowed(name), "only the probe's files may");
}

#[test]
fn decoders_and_model_do_no_input_or_output_and_read_no_clock() {
    let pure = |name: &str| {
        let folders = ["check", "kernel", "heap", "stack", "model", "image", "inventory", "view"];
        folders.iter().any(|folder| name == format!("{folder}.rs") || name.starts_with(&format!("{folder}/")))
            || ["region.rs", "units.rs", "memory.rs", "fault.rs", "report.rs", "amount.rs", "sizing.rs"].contains(&name)
    };
    let words =
        ["Instant::now", "SystemTime", "std::net", "tokio::", "ratatui::", "crossterm::", "println!", "std::env"];
    forbid(&words, pure, "decoders, model and views are pure");
    let files = |name: &str| pure(name) && !["image.rs", "image/content.rs", "image/other.rs"].contains(&name);
    forbid(&["std::fs", "File::open"], files, "only image.rs opens the ELF, and image/other.rs what lies beside it");
}

#[test]
fn no_layer_reaches_upward() {
    let below = |name: &str, layer: &str| name == format!("{layer}.rs") || name.starts_with(&format!("{layer}/"));
    for layer in [
        "region",
        "units",
        "image",
        "inventory",
        "memory",
        "source",
        "heap",
        "stack",
        "kernel",
        "sampler",
        "model",
        "report",
        "view",
        "check",
        "sizing",
        "amount",
    ] {
        forbid(&["crate::tui", "crate::app"], |name| below(name, layer), "screens and effects are above it");
    }
    for layer in ["image", "memory", "heap", "stack", "kernel", "source"] {
        forbid(&["crate::sampler", "crate::report", "crate::view"], |name| below(name, layer), "it feeds the sampler");
    }
    forbid(
        &["crate::source", "crate::sampler", "crate::memory"],
        |name| below(name, "view"),
        "a view only reads a report",
    );
    forbid(&["crate::source::probe", "crate::simulator"], |name| below(name, "tui"), "a screen only reads the model");
}

#[test]
fn a_source_can_neither_write_nor_halt() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/source.rs");
    let text = fs::read_to_string(path).expect("it is there");
    let start = text.find("pub trait Source").expect("the trait is there");
    let end = start + text[start..].find("\n}").expect("it ends");
    for word in ["fn write", "fn halt", "fn reset", "fn poke", "fn run"] {
        assert!(!text[start..end].contains(word), "`{word}` in the trait Source");
    }
}

#[test]
fn the_probe_makes_no_session() {
    forbid(
        &["Session", ".halt(", ".attach(", "write_32", "write_word", "write_8"],
        |name| ["source/probe.rs", "source/mem_ap.rs", "source/chip.rs", "source/emulated.rs"].contains(&name),
        "a Session halts the core, and a source writes nothing",
    );
}

#[test]
fn nothing_is_left_undone_in_the_code() {
    for folder in ["src", "target-agent/src"] {
        for (path, code) in sources(folder) {
            // Spelled in two halves, so that this file does not find itself.
            for word in
                [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("XX", "X")]
            {
                assert!(!code.contains(word), "{} says {word}", path.display());
            }
        }
    }
}

#[test]
fn the_agent_depends_on_nothing() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target-agent/Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(path).expect("it is there").parse().expect("it is TOML");
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    assert!(dependencies.is_none_or(toml::Table::is_empty));
}

/// What is built apart (fuzzing, the benchmark of ELF files) has a lock file of its own, which a
/// new dependency of the tool makes out of date without anything else failing here.
#[test]
fn lock_files_of_what_is_built_apart_know_the_tools_dependencies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read =
        |path: &Path| -> toml::Table { fs::read_to_string(path).expect("it is there").parse().expect("it is TOML") };
    let manifest = read(&root.join("Cargo.toml"));
    let dependencies = manifest["dependencies"].as_table().expect("dependencies are a table");
    let needed = dependencies.iter().filter(|(_, how)| how.get("optional").is_none()).map(|(name, _)| name.as_str());
    let needed: Vec<&str> = needed.collect();
    for apart in ["fuzz", "benches/elf"] {
        let lock = read(&root.join(apart).join("Cargo.lock"));
        let packages = lock["package"].as_array().expect("packages are a list");
        let tool = packages.iter().find(|package| package["name"].as_str() == Some("highwater")).expect("it is locked");
        let locked = tool["dependencies"].as_array().expect("dependencies are a list");
        let locked: Vec<&str> = locked.iter().filter_map(|name| name.as_str()?.split(' ').next()).collect();
        for name in &needed {
            assert!(
                locked.contains(name),
                "{apart}/Cargo.lock lacks {name}: run `cargo update --workspace` in {apart}"
            );
        }
    }
}
