//! The static picture: every byte has one owner, and what changed between two builds is told.

use std::path::{Path, PathBuf};
use std::process::Command;

use highwater::image::layout;
use highwater::image::link_map::LinkMap;
use highwater::image::symbols;
use highwater::image::{Image, Machine};
use highwater::inventory::listing::{Listing, Row};
use highwater::inventory::owner::Names;
use highwater::inventory::tasks::{self, Framework, Role};
use highwater::inventory::told;
use highwater::inventory::tree::{self, Level, Order};
use highwater::inventory::{Copied, Inventory, What};
use highwater::region::Region;
use object::{Object, ObjectSection, SectionFlags};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo.elf");

fn inventory(path: &Path) -> Inventory {
    let image = Image::open(path).expect("the ELF opens");
    let memories = layout::memories(&image, &[]);
    Inventory::new(&image, &memories, &Names { units: image.units(), ..Names::default() })
}

/// The sections that take memory as an independent reader sees them, as `size -A` does: name and bytes.
fn sections(path: &Path) -> Vec<(String, u64)> {
    let data = std::fs::read(path).expect("it can be read");
    let file = object::File::parse(&*data).expect("it is an ELF");
    let takes_memory = |section: &object::Section<'_, '_>| match section.flags() {
        SectionFlags::Elf { sh_flags, .. } => sh_flags.contains(object::elf::SHF_ALLOC) && section.size() > 0,
        _ => false,
    };
    file.sections()
        .filter(takes_memory)
        .map(|section| (section.name().expect("it has a name").to_owned(), section.size()))
        .collect()
}

fn adds_up(path: &Path) {
    let inventory = inventory(path);
    for holding in &inventory.memories {
        let mut at = u64::from(holding.memory.range.start());
        for item in &holding.items {
            assert_eq!(u64::from(item.range.start()), at, "{} {item:?}", holding.memory.name);
            assert!(!item.range.is_empty());
            at = item.range.end();
        }
        assert_eq!(at, holding.memory.range.end(), "{}", holding.memory.name);
    }
    let mut told: Vec<(String, u64)> = (0..inventory.sections.len())
        .map(|index| (inventory.sections[index].name.clone(), inventory.section_bytes(index)))
        .collect();
    let mut expected = sections(path);
    told.sort();
    expected.sort();
    assert_eq!(told, expected, "{}", path.display());
    let levels = [Level::Memory, Level::Section, Level::Module, Level::Name];
    let whole: u64 = inventory.memories.iter().map(|holding| u64::from(holding.memory.range.size())).sum();
    for order in [Order::Size, Order::Name, Order::Address] {
        for levels in [&levels[..], &levels[2..], &levels[..2], &levels[..1]] {
            let root = tree::build(&inventory, levels, "", order);
            assert_eq!(root.bytes(), whole);
            sums(&root);
        }
    }
}

fn sums(node: &tree::Node) {
    if !node.children.is_empty() {
        let children: u64 = node.children.iter().map(tree::Node::bytes).sum();
        assert_eq!(node.bytes(), children, "{}", node.name);
        node.children.iter().for_each(sums);
    }
}

#[test]
fn the_rows_of_a_memory_add_up_to_it_and_those_of_a_section_to_the_section() {
    adds_up(Path::new(DEMO));
}

/// What GNU's own tool says of the sections.
fn gnu_size(path: &Path) -> Vec<(String, u64)> {
    let out = Command::new("arm-none-eabi-size").arg("-A").arg(path).output().expect("binutils are installed");
    let text = String::from_utf8(out.stdout).expect("it is text");
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, size, _address) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
        (size > 0).then(|| (name.to_owned(), size))
    };
    text.lines().filter_map(row).collect()
}

#[test]
#[ignore = "needs arm-none-eabi-gcc with newlib"]
fn programs_of_gcc_and_newlib_add_up_as_size_says() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/static/main.c");
    let folder = tempfile::tempdir().expect("there is room");
    for (name, flags) in [
        ("nano", &["-mcpu=cortex-m4", "-Os", "-g", "--specs=nano.specs"][..]),
        ("newlib", &["-mcpu=cortex-m0plus", "-O0", "-g"]),
        ("lto", &["-mcpu=cortex-m33", "-O2", "-flto", "--specs=nano.specs"]),
        ("stripped", &["-mcpu=cortex-m7", "-Os", "-s"]),
        ("big-endian", &["-mcpu=cortex-r5", "-mbig-endian", "-nostdlib", "-Wl,--unresolved-symbols=ignore-all"]),
    ] {
        let elf = folder.path().join(format!("{name}.elf"));
        let map = folder.path().join(format!("{name}.map"));
        let mut gcc = Command::new("arm-none-eabi-gcc");
        gcc.args(["-mthumb", "-ffunction-sections", "-fdata-sections"]).args(flags);
        gcc.args(["--specs=nosys.specs", "-Wl,--gc-sections"]).arg(format!("-Wl,-Map={}", map.display()));
        let built = gcc.arg(source).arg("-o").arg(&elf).output().expect("gcc is installed");
        assert!(built.status.success(), "{name}: {}", String::from_utf8_lossy(&built.stderr));
        adds_up(&elf);
        let inventory = inventory(&elf);
        let told = inventory.sections.iter().map(|section| (section.name.clone(), u64::from(section.size)));
        let all = gnu_size(&elf);
        for row in told {
            assert!(all.contains(&row), "{name}: {row:?} is not what `size -A` says: {all:?}");
        }
        if ["nano", "newlib"].contains(&name) {
            let (elf, map) = (elf.to_str().expect("it is text"), map.to_str().expect("it is text"));
            let (code, out, error) = highwater(&["symbols", elf, "--map", map, "--by", "module,name", "--top", "0"]);
            assert_eq!(code, Some(0), "{error}");
            let library = if name == "nano" { "_nano.a(lib_a-" } else { ".a(lib_a-" };
            assert!(out.contains(library), "{name}: {out}");
            let (_, out, _) = highwater(&["symbols", elf, "--by", "module,name", "--top", "0"]);
            assert!(out.contains("  main.c ") && out.contains("    buffer "), "{name}: {out}");
        }
    }
}

/// A path below the fixtures of this file.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/static").join(name)
}

#[test]
#[ignore = "needs arm-none-eabi-gcc"]
fn sections_and_symbols_named_as_armlink_and_ilink_do_are_understood() {
    let folder = tempfile::tempdir().expect("there is room");
    for (name, code, stack, heap) in
        [("armlink", "ER_IROM1", "ARM_LIB_STACK", "ARM_LIB_HEAP"), ("ilink", "P1 ro", "CSTACK", "HEAP")]
    {
        let elf = folder.path().join(format!("{name}.elf"));
        let mut gcc = Command::new("arm-none-eabi-gcc");
        gcc.args(["-mcpu=cortex-m4", "-mthumb", "-Os", "-g", "-nostdlib", "-T"]).arg(fixture(&format!("{name}.ld")));
        let built = gcc.arg(fixture("conventions.c")).arg("-o").arg(&elf).output().expect("gcc is installed");
        assert!(built.status.success(), "{name}: {}", String::from_utf8_lossy(&built.stderr));
        adds_up(&elf);
        let image = Image::open(&elf).expect("the ELF opens");
        assert!(image.sections.iter().any(|section| section.name == code && section.executable), "{name}");
        let memories = layout::memories(&image, &[]);
        let infix = if name == "armlink" { "$$ZI" } else { "" };
        let prefix = if name == "armlink" { "Image$$" } else { "" };
        let between = |what: &str| {
            let end = |end| image.symbols.address(&format!("{prefix}{what}{infix}$${end}")).expect(what);
            Some(Region::between(end("Base"), end("Limit")))
        };
        assert_eq!(layout::main_stack(&image, &memories), between(stack), "{name}");
        assert_eq!(layout::heap(&image), between(heap), "{name}");
        assert_eq!(layout::heap(&image).map(Region::size), Some(0x200));
        // The initial values of statics lie behind the code, where the linker stored them.
        let data = image.symbols.get("counted").and_then(|symbol| image.bytes(symbol.range));
        assert_eq!(data, Some(&7u32.to_le_bytes()[..]), "{name}");
        assert_eq!(image.types().variable("zeroed").and_then(|held| held.kind.size()), Some(400), "{name}");
    }
}

#[test]
#[ignore = "needs the target riscv32imac-unknown-none-elf"]
fn a_program_for_risc_v_and_the_map_of_lld_are_understood() {
    let folder = tempfile::tempdir().expect("there is room");
    let (elf, map) = (folder.path().join("riscv.elf"), folder.path().join("riscv.map"));
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "--target=riscv32imac-unknown-none-elf", "-Cpanic=abort", "-Copt-level=1", "-g"]);
    rustc.args(["-Clink-arg=-Ttext=0x42000000", "-Clink-arg=-Tdata=0x3fc80000"]);
    rustc.arg(format!("-Clink-arg=-Map={}", map.display())).arg("-o").arg(&elf);
    let built = rustc.arg(fixture("riscv.rs")).output().expect("rustc is installed");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    adds_up(&elf);
    let image = Image::open(&elf).expect("the ELF opens");
    assert_eq!(image.machine, Machine::RiscV);
    assert_eq!(image.types().variable("riscv::ZEROED").and_then(|held| held.kind.size()), Some(400));
    let start = image.symbols.address("_start").expect("it is there");
    assert!(image.lines().at(start).last().is_some_and(|frame| frame.function == "_start"));
    let map = std::fs::read_to_string(&map).expect("lld writes a map");
    let map = LinkMap::parse(&map);
    assert!(map.at(start).is_some_and(|input| input.object.contains("riscv")), "{map:?}");
}

#[test]
fn crates_and_files_own_what_is_theirs() {
    let inventory = inventory(Path::new(DEMO));
    let owner = |name: &str| {
        let thing =
            inventory.things.iter().find(|thing| thing.name == name).unwrap_or_else(|| panic!("{name} is there"));
        (thing.module.kind(), thing.module.name())
    };
    for (name, expected) in [
        ("demo::kernel::KERNEL", ("crate", "demo")),
        ("core::fmt::write", ("crate", "core")),
        ("<u32 as core::fmt::Display>::fmt", ("crate", "core")),
        // Names that are not mangled are told by the unit they were compiled in.
        ("DEMO_TRUTH", ("crate", "demo")),
        ("kernel_switch", ("crate", "demo")),
    ] {
        assert_eq!(owner(name), (expected.0, expected.1.to_owned()), "{name}");
    }
}

#[test]
fn initial_values_count_in_flash_and_in_ram() {
    let inventory = inventory(Path::new(DEMO));
    let places: Vec<(Copied, u32)> = inventory
        .memories
        .iter()
        .flat_map(|holding| &holding.items)
        .filter(|item| inventory.thing(item).is_some_and(|thing| thing.name == "demo::kernel::KERNEL"))
        .map(|item| (item.copy, item.range.size()))
        .collect();
    assert_eq!(places.len(), 2, "{places:?}");
    assert_eq!(places[0].1, places[1].1);
    assert!(
        places.iter().any(|(copy, _)| *copy == Copied::Load) && places.iter().any(|(copy, _)| *copy == Copied::Run)
    );
    let heap = inventory.memories.iter().flat_map(|holding| &holding.items).find(|item| item.what == What::Heap);
    assert!(heap.is_some(), "what the linker keeps for the heap is told apart");
}

#[test]
fn a_listing_survives_being_saved() {
    let listing = Listing::new(&inventory(Path::new(DEMO)));
    let text = serde_json::to_string(&listing).expect("it is written");
    assert_eq!(serde_json::from_str::<Listing>(&text).expect("it is read"), listing);
}

fn highwater(args: &[&str]) -> (Option<i32>, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_highwater")).args(args).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is text");
    (out.status.code(), text(out.stdout), text(out.stderr))
}

fn saved(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("it can be written");
    path
}

#[test]
fn a_build_is_compared_with_a_saved_listing() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut listing = Listing::new(&inventory(Path::new(DEMO)));
    listing.elf = "older.elf".into();
    let has = |row: &Row, name: &str| row.name == name && !row.stored_copy;
    listing.rows.retain(|row| row.name != "demo::threads::main::LOG");
    let grown = listing.rows.iter_mut().find(|row| has(row, "core::fmt::write")).expect("it is there");
    grown.size -= 40;
    let renamed = listing.rows.iter_mut().find(|row| has(row, "demo::census::take"));
    let renamed = renamed.map(|row| std::mem::replace(&mut row.name, "demo::census::old".into()));
    let older = saved(&folder, "older.json", &serde_json::to_string(&listing).expect("it is written"));
    let (code, out, _) = highwater(&["diff", older.to_str().expect("it is text"), DEMO]);
    assert_eq!(code, Some(0));
    for expected in
        ["older.elf -> demo.elf", "Flash +40 B, RAM +1664 B", "demo::threads::main::LOG", "added", "core::fmt::write"]
    {
        assert!(out.contains(expected), "{expected}:\n{out}");
    }
    if renamed.is_some() {
        assert!(out.contains("(was demo::census::old)"), "{out}");
    }
    let (code, out, _) = highwater(&["diff", DEMO, DEMO]);
    assert_eq!((code, out.lines().nth(1)), (Some(0), Some("no memory grew or shrank")), "{out}");
    let (_, out, _) = highwater(&["diff", older.to_str().expect("it is text"), DEMO, "--format", "markdown"]);
    assert!(out.starts_with("### Memory: Flash +40 B, RAM +1664 B\n"), "{out}");
    let (_, out, _) = highwater(&["diff", older.to_str().expect("it is text"), DEMO, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
    assert_eq!(json["schema"], "highwater/diff@1");
}

#[test]
fn what_is_no_listing_and_no_map_is_named() {
    let folder = tempfile::tempdir().expect("there is room");
    for (content, args, expected) in [
        ("{\"a\": 1}", ["diff", "FILE", DEMO, "--top", "0"], "is not a saved listing"),
        (
            "{\"schema\": \"other@9\", \"elf\": \"\", \"memories\": [], \"sections\": [], \"rows\": []}",
            ["diff", "FILE", DEMO, "--top", "0"],
            "has the schema other@9, not highwater/symbols@1",
        ),
        (
            "no map",
            ["symbols", DEMO, "--map", "FILE", "--ascii"],
            "has no input sections in it; give the map of GNU ld",
        ),
    ] {
        let path = saved(&folder, "given", content);
        let args = args.map(|arg| if arg == "FILE" { path.to_str().expect("it is text") } else { arg });
        let (code, _, error) = highwater(&args);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn other_images_are_on_the_map() {
    let folder = tempfile::tempdir().expect("there is room");
    let settings = saved(&folder, "settings.bin", "0123456789abcdef");
    let boot = saved(&folder, "boot.hex", ":04000000000102FFFA\n:00000001FF\n");
    let also = [boot.display().to_string(), format!("{}@0x0003_f000", settings.display())];
    let args = ["--also", &also[0], "--also", &also[1]];
    let (code, out, error) = highwater(&[&["layout", DEMO][..], &args].concat());
    assert_eq!(code, Some(0), "{error}");
    for expected in
        ["0003_f000      16 B  settings.bin", "boot.hex and the firmware both have bytes from 0000_0000 to 0000_0004"]
    {
        assert!(out.contains(expected), "{expected}:\n{out}");
    }
    let (_, out, _) = highwater(&[&["symbols", DEMO, "--by", "memory,section", "--top", "0"][..], &args].concat());
    assert!(out.contains("(other images)"), "{out}");
    let (code, _, error) = highwater(&["layout", DEMO, "--also", settings.to_str().expect("it is text")]);
    assert_eq!(code, Some(1));
    assert!(error.contains("does not say where it lies; give its address too"), "{error}");
}

/// The tasks of the fixture: its static sizes, and what the symbols say of the same statics.
fn has_its_tasks(elf: &Path) {
    let image = Image::open(elf).expect("the ELF opens");
    let told = tasks::read(&image);
    let size_of = |name: &str| {
        let symbol = image.symbols.iter().find(|symbol| symbols::demangle(&symbol.name).ends_with(name));
        symbol.unwrap_or_else(|| panic!("{name} is linked")).range.size()
    };
    let [worker, reader] = &told.tasks[..] else { panic!("{:#?}", told.tasks) };
    assert_eq!(
        (worker.name.as_str(), worker.framework, worker.instances),
        ("tasks::worker", Framework::Embassy, Some(3))
    );
    assert_eq!(worker.size, size_of("worker::POOL"));
    assert_eq!(
        (reader.name.as_str(), reader.framework, reader.instances),
        ("tasks::app::reader", Framework::Rtic, Some(1))
    );
    assert_eq!(reader.size, size_of("reader_EXEC"));
    let future = &worker.futures[0];
    // Each slot of the pool has a header of four words before the future.
    assert_eq!(future.size.next_multiple_of(4) + 16, worker.size / 3);
    let largest = &future.awaits[0];
    assert_eq!((largest.parts[0].name.as_deref(), largest.parts[0].size), (Some("frame"), 512));
    let waited = largest.parts.iter().find(|part| part.name.is_none()).expect("it waits for a line");
    let line = &waited.futures[0];
    assert_eq!(
        (waited.kind.as_str(), line.name.as_str(), line.size),
        ("tasks::read_line", "tasks::read_line", waited.size)
    );
    assert_eq!(line.awaits[0].parts[0].name.as_deref(), Some("line"));
    let source = std::fs::read_to_string(fixture("tasks.rs")).expect("the source is there");
    let line_of = |text: &str| source.lines().position(|line| line.contains(text)).expect(text) + 1;
    for (told, text) in [
        (&future.source, "async fn __worker_task_inner_function"),
        (&largest.source, "read_line(id as usize).await"),
        (&line.awaits[0].source, "let more = Never.await"),
        (&reader.futures[0].awaits[0].source, "let at = Never.await"),
    ] {
        let told = told.as_deref().expect("rustc says where");
        assert!(told.ends_with(&format!("tasks.rs:{}", line_of(text))), "{told} is not where `{text}` is");
    }
    for state in worker.futures.iter().chain(&reader.futures).flat_map(|future| &future.awaits) {
        assert!(state.size <= future.size && state.parts.iter().all(|part| part.offset + part.size <= future.size));
    }
    let resources: Vec<(&str, Role, u32)> =
        told.resources.iter().map(|resource| (resource.name.as_str(), resource.role, resource.size)).collect();
    let expected = [("sender", Role::Messages, 272), ("log", Role::Shared, 80), ("count", Role::Local, 4)];
    assert_eq!(resources, expected);
    assert_eq!(told.bytes, u64::from(worker.size + reader.size + 272 + 80 + 4));
}

#[test]
fn tasks_are_told_with_what_makes_them_large() {
    has_its_tasks(&fixture("tasks.elf"));
    let image = Image::open(&fixture("tasks.elf")).expect("the ELF opens");
    let pool = image.symbols.iter().find(|symbol| symbol.name.contains("4POOL")).expect("it is linked").range;
    let told = told::tell(&image, pool);
    assert_eq!(told.task.map(|task| task.name).as_deref(), Some("tasks::worker"));
}

#[test]
#[ignore = "needs the target thumbv7m-none-eabi"]
fn tasks_are_told_of_what_this_compiler_makes() {
    let folder = tempfile::tempdir().expect("there is room");
    let elf = folder.path().join("tasks.elf");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "--target=thumbv7m-none-eabi", "-Cpanic=abort", "-Copt-level=1", "-g"]);
    rustc.args(["-Clink-arg=-Ttext=0x08000000", "-Clink-arg=-Tdata=0x20000000"]).arg("-o").arg(&elf);
    let built = rustc.arg(fixture("tasks.rs")).output().expect("rustc is installed");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    has_its_tasks(&elf);
}

#[test]
fn tasks_have_every_format() {
    let elf = fixture("tasks.elf");
    let elf = elf.to_str().expect("it is text");
    let (_, text, _) = highwater(&["tasks", elf]);
    assert!(text.contains("embassy, 3 of 752 B each") && text.contains("waits for"), "{text}");
    let (_, text, _) = highwater(&["tasks", elf, "--top", "1"]);
    assert!(text.contains("… and 1 more tasks") && text.contains("… and 2 more, the largest"), "{text}");
    let (_, csv, _) = highwater(&["tasks", elf, "--format", "csv"]);
    assert!(csv.contains("tasks::worker,2,local,frame,[u8; 512],,512\r"), "{csv}");
    let (_, json, _) = highwater(&["tasks", elf, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!((&json["schema"], &json["tasks"][0]["size"]), (&"highwater/tasks@1".into(), &2256.into()));
    let (code, none, _) = highwater(&["tasks", DEMO]);
    assert!(code == Some(0) && none.contains("none that holds a future"), "{none}");
}

#[test]
fn a_listing_has_every_format() {
    let (_, text, _) = highwater(&["symbols", DEMO, "--by", "module,name", "--filter", "fmt", "--top", "8"]);
    assert!(text.contains("core::fmt::write") && text.contains("… and "), "{text}");
    let (_, csv, _) = highwater(&["symbols", DEMO, "--format", "csv"]);
    let rows = csv.lines().count() - 1;
    let (_, json, _) = highwater(&["symbols", DEMO, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["rows"].as_array().map(Vec::len), Some(rows));
    let (_, svg, _) = highwater(&["symbols", DEMO, "--format", "svg"]);
    assert!(svg.starts_with("<svg") && svg.contains("<title>demo::threads::main::LOG: 1664 B</title>"));
}

#[test]
fn a_saved_report_is_compared_by_region() {
    let folder = tempfile::tempdir().expect("there is room");
    let report = folder.path().join("report.json");
    let listing = folder.path().join("symbols.json");
    for (command, path) in [("layout", &report), ("symbols", &listing)] {
        let (code, out, _) = highwater(&[command, DEMO, "--format", "json"]);
        assert_eq!(code, Some(0));
        std::fs::write(path, out).expect("it can be written");
    }
    let report = report.to_str().expect("it is text");
    let (code, out, _) = highwater(&["diff", report, DEMO]);
    assert_eq!((code, out.lines().nth(1)), (Some(0), Some("no memory grew or shrank")), "{out}");
    // A build that took 100 B more of RAM for .bss, and less of what nobody claims.
    let text = std::fs::read_to_string(report).expect("it is text");
    let mut value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    for region in value["regions"].as_array_mut().expect("it has regions") {
        if region["name"] == ".bss" {
            region["size"] = (region["size"].as_u64().expect("a number") + 100).into();
        }
    }
    let larger = folder.path().join("larger.json");
    std::fs::write(&larger, value.to_string()).expect("it can be written");
    let larger = larger.to_str().expect("it is text");
    let (_, out, _) = highwater(&["diff", DEMO, larger, "--format", "json"]);
    let diff: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
    let sections = diff["sections"].as_array().expect("a list");
    assert_eq!(sections.len(), 1, "{out}");
    assert_eq!(sections[0]["name"], "RAM .bss");
    let bytes = |key: &str| sections[0][key].as_u64().expect("a number");
    assert_eq!(bytes("new"), bytes("old") + 100);
    // Symbols and regions do not compare.
    let (code, _, err) = highwater(&["diff", report, listing.to_str().expect("it is text")]);
    assert!(code == Some(2) && err.contains("which has none"), "{code:?} {err}");
}

/// A 64-bit ELF with one function and one static, as the fields of the format's tables (System V ABI, chapter 4).
fn wide(base: u64) -> Vec<u8> {
    let names = b"\0.text\0.data\0.symtab\0.strtab\0";
    let strings = b"\0main\0table\0";
    let mut file = vec![0u8; 64];
    let text = file.len() as u64;
    file.extend([0x90; 16]);
    let data = file.len() as u64;
    file.extend([7; 32]);
    let symbols = file.len() as u64;
    file.extend([0; 24]);
    for (name, info, section, value, size) in [(1u32, 0x12u8, 1u16, base, 16u64), (6, 0x11, 2, base + 0x1000, 32)] {
        file.extend(name.to_le_bytes());
        file.extend([info, 0]);
        file.extend(section.to_le_bytes());
        file.extend(value.to_le_bytes());
        file.extend(size.to_le_bytes());
    }
    let strtab = file.len() as u64;
    file.extend(strings);
    let shstrtab = file.len() as u64;
    file.extend(names);
    let headers = file.len() as u64;
    // Name, type, flags, address, offset, size, link, info, entry size.
    let sections: [[u64; 9]; 6] = [
        [0; 9],
        [1, 1, 6, base, text, 16, 0, 0, 0],
        [7, 1, 3, base + 0x1000, data, 32, 0, 0, 0],
        [13, 2, 0, 0, symbols, 72, 4, 1, 24],
        [21, 3, 0, 0, strtab, strings.len() as u64, 0, 0, 0],
        [21, 3, 0, 0, shstrtab, names.len() as u64, 0, 0, 0],
    ];
    for [name, kind, flags, address, offset, size, link, info, entry] in sections {
        file.extend((name as u32).to_le_bytes());
        file.extend((kind as u32).to_le_bytes());
        for word in [flags, address, offset, size] {
            file.extend(word.to_le_bytes());
        }
        file.extend((link as u32).to_le_bytes());
        file.extend((info as u32).to_le_bytes());
        file.extend(1u64.to_le_bytes());
        file.extend(entry.to_le_bytes());
    }
    file[..20].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0]);
    file[20] = 1;
    file[40..48].copy_from_slice(&headers.to_le_bytes());
    file[52] = 64;
    file[58..64].copy_from_slice(&[64, 0, 6, 0, 5, 0]);
    file
}

#[test]
fn a_64_bit_program_is_told_by_its_symbols_and_has_no_layout() {
    let folder = tempfile::tempdir().expect("there is room");
    let program = folder.path().join("program");
    std::fs::write(&program, wide(0x40_0000)).expect("it can be written");
    let name = program.to_str().expect("it is text");
    let (code, out, error) = highwater(&["symbols", name, "--by", "section,name", "--top", "0"]);
    assert_eq!(code, Some(0), "{error}");
    for expected in [".text", ".data", "main", "table", "16 B", "32 B"] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    let (code, _, _) = highwater(&["diff", name, name]);
    assert_eq!(code, Some(0));
    let (code, _, error) = highwater(&["layout", name]);
    assert!(code == Some(1) && error.contains("a 64-bit machine"), "{error}");
    // What lies past 4 GiB is refused, not left out.
    std::fs::write(&program, wide(0x1_0000_0000)).expect("it can be written");
    let (code, _, error) = highwater(&["symbols", name]);
    assert!(code == Some(1) && error.contains("addresses past 4 GiB"), "{error}");
}

#[test]
fn this_machines_own_program_opens() {
    // The tool as cargo built it: an ELF on Linux, and named for what it is elsewhere.
    let program = env!("CARGO_BIN_EXE_highwater");
    let (code, out, error) = highwater(&["symbols", program, "--by", "section", "--top", "3"]);
    if cfg!(target_os = "linux") && cfg!(target_pointer_width = "64") {
        assert!(code == Some(0) && out.contains(".text"), "{out}{error}");
    } else {
        assert!(code == Some(0) || error.contains("is not an ELF file"), "{error}");
    }
}
