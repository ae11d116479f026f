//! `highwater_layout.h` is `layout.rs` in C: made from it, and never edited by hand.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use highwater_agent::layout;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const HEADER: &str = "target-agent/c/highwater_layout.h";

/// Constants of the layout that are not word indices. The text gives their names, the compiler their values.
const VALUES: [(&str, u32); 9] = [
    ("MAGIC", layout::MAGIC),
    ("ABI", layout::ABI),
    ("PAINT", layout::PAINT),
    ("GUARD_BYTES", layout::GUARD_BYTES),
    ("PAINTED", layout::PAINTED),
    ("LIVE", layout::LIVE),
    ("EMPTY", layout::EMPTY),
    ("GENERATION", layout::GENERATION),
    ("OWNER_SIZE", layout::owner::SIZE),
];

/// What the names in C of an enumeration's values begin with.
const ENUMS: [(&str, &str, &str); 3] = [
    ("ThreadKind", "highwater_thread_kind", "HIGHWATER_THREAD"),
    ("ThreadState", "highwater_thread_state", "HIGHWATER_STATE"),
    ("RegionKind", "highwater_region_kind", "HIGHWATER_REGION"),
];

/// A documentation comment of Rust as one of C: links become names.
fn comment(doc: &str) -> String {
    let mut text = doc.replace(['`', '['], "").replace(']', "");
    while let Some(start) = text.find("(super::") {
        let end = text[start..].find(')').expect("the link ends") + start;
        text.replace_range(start..=end, "");
    }
    text
}

/// The whole header.
fn header(source: &str) -> String {
    let mut out = String::from(
        "/*\n * The layout of the block, made from src/layout.rs by a test of this repository; do not edit.\n */\n\
         #ifndef HIGHWATER_LAYOUT_H\n#define HIGHWATER_LAYOUT_H\n",
    );
    let (mut doc, mut module, mut values) = (String::new(), None, None);
    for line in source.lines() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            doc += text;
        } else if let Some(name) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(" {")) {
            module = Some(name.to_uppercase());
            writeln!(out, "\n/*{} */", comment(&doc)).unwrap();
        } else if let Some(name) = line.strip_prefix("pub enum ").and_then(|rest| rest.strip_suffix(" {")) {
            let (_, tag, prefix) = ENUMS.iter().find(|(rust, ..)| *rust == name).expect("an enumeration C has too");
            writeln!(out, "\n/*{} */\nenum {tag} {{", comment(&doc)).unwrap();
            values = Some(*prefix);
        } else if let Some((name, value)) =
            line.strip_prefix("pub const ").and_then(|rest| rest.split_once(": usize = "))
        {
            let module = module.as_deref().expect("word indices stand in modules");
            let value = value.trim_end_matches(';');
            assert!(value.parse::<u32>().is_ok(), "{module}::{name} is no plain number");
            writeln!(out, "#define HIGHWATER_{module}_{name} {value} /*{} */", comment(&doc)).unwrap();
        } else if let Some((name, _)) = line.strip_prefix("pub const ").and_then(|rest| rest.split_once(": u32 = ")) {
            let name = module.as_deref().map_or_else(|| name.to_owned(), |module| format!("{module}_{name}"));
            let (_, value) = VALUES.iter().find(|(rust, _)| *rust == name).expect("a constant this test knows");
            writeln!(out, "\n/*{} */\n#define HIGHWATER_{name} UINT32_C({value:#x})", comment(&doc)).unwrap();
        } else if let (Some(prefix), Some((name, value))) = (values, line.split_once(" = ")) {
            writeln!(out, "    {prefix}_{} = {value} /*{} */", name.to_uppercase(), comment(&doc)).unwrap();
        } else if line == "}" {
            if values.take().is_some() {
                // C++ before 11 and pedantic C90 want no comma behind the last value.
                let comma = out.rfind(", /*").expect("it has values");
                out.remove(comma);
                out += "};\n";
            }
            module = None;
        } else if line.starts_with("#[") {
            continue;
        }
        if !line.starts_with("///") {
            doc.clear();
        }
    }
    out + "\n#endif\n"
}

#[test]
fn the_layout_in_c_is_the_one_in_rust() {
    let source = fs::read_to_string(Path::new(ROOT).join("target-agent/src/layout.rs")).expect("it is there");
    let made = header(&source);
    for (name, _) in VALUES {
        assert!(made.contains(&format!("#define HIGHWATER_{name} ")), "{name} is gone from layout.rs");
    }
    let path = Path::new(ROOT).join(HEADER);
    if std::env::var_os("UPDATE_C_LAYOUT").is_some() {
        fs::write(&path, &made).expect("it can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(committed == made, "{HEADER} is not made from layout.rs: run this test with UPDATE_C_LAYOUT=1");
}
