//! Heaps as real allocators leave them: firmware on the emulated board that allocates and frees at random, and keeps the
//! truth beside it. Every block that is walked is held against it, after each of some hundred calls.
#![cfg(feature = "simulator")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use highwater::heap::{Walk, detect};
use highwater::image::Image;
use highwater::memory::Memory;
use highwater::model::snapshot::BlockState;
use highwater::region::Region;
use highwater::simulator::{Board, Image as Firmware, Options};
use highwater::source::link::LinkCost;
use highwater::source::{CoreStatus, Counters, Description, ReadError, Source};

/// The board's memory, past the probe.
struct Peek(Arc<Board>);

impl Source for Peek {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        let bytes = self.0.peek(range.start(), into.len());
        let bytes = bytes.ok_or_else(|| ReadError::Unreadable { range, why: "nothing there".into() })?;
        into.copy_from_slice(&bytes);
        Ok(())
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        Ok(CoreStatus::Running)
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        Ok(())
    }

    fn now(&self) -> Duration {
        self.0.now()
    }

    fn wait(&mut self, _time: Duration) {}

    fn describe(&self) -> Description {
        Description::default()
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/heap")
}

/// Firmware of Rust, with the crate that has the allocator as it is published.
fn build(name: &str) -> Vec<u8> {
    let target = tempfile::tempdir().expect("there is room");
    let linker_script = fixtures().join("board.ld");
    let output = Command::new(env!("CARGO"))
        .current_dir(fixtures().join(name))
        .args(["build", "--release", "--locked", "--target", "thumbv7m-none-eabi", "--target-dir"])
        .arg(target.path())
        .env("RUSTFLAGS", format!("-Clink-arg=-T{} -Clink-arg=-ereset", linker_script.display()))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(target.path().join("thumbv7m-none-eabi/release/churn")).expect("it was linked")
}

fn compile(name: &str, source: &str, arguments: &[&str]) -> Vec<u8> {
    let elf = std::env::temp_dir().join(format!("highwater-heap-{}-{name}.elf", std::process::id()));
    let output = Command::new("arm-none-eabi-gcc")
        .current_dir(fixtures())
        .args(["-mcpu=cortex-m3", "-mthumb", "-O1", "-g", "-nostartfiles", "-DSEED=0x2545f491", "-I.", "-Tboard.ld"])
        .args(["-Wl,-e,reset", "-Wl,--no-warn-rwx-segments", source, "-o"])
        .arg(&elf)
        .args(arguments)
        .output()
        .expect("arm-none-eabi-gcc is installed: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(&elf).expect("it was linked");
    std::fs::remove_file(&elf).expect("it was written");
    bytes
}

/// A block by its address and how large it is told to be.
type Told = (u32, u32);

/// Runs the firmware, and holds what is in use by the walk against its own account after each of `steps` calls.
fn compare(elf: &[u8], allocator: &str, steps: u32, agree: fn(Told, Told) -> bool) {
    let image = Image::parse(Path::new("churn.elf"), elf).expect("it opens");
    let address = |symbol: &str| image.symbols.get(symbol).expect(symbol).range;
    let (stamp, live) = (address("stamp").start(), address("live"));
    let walker = detect(&image).into_iter().find(|walker| walker.name() == allocator).expect("it is found");
    let board = Board::create(Options::new(Firmware::from_elf(elf).expect("it loads")).lockstep()).expect("it starts");
    for step in 1..=steps {
        let reached = board.run_until(Duration::from_secs(5), |board| board.peek_word(stamp) == Some(2 * step));
        assert!(reached, "{allocator}: step {step}, at {:08x?}", board.pc_and_sp());
        let mut source = Peek(board.clone());
        let walk = walker.walk(&mut Memory::new(&mut source, LinkCost::default(), 1 << 20));
        let walk = walk.unwrap_or_else(|| panic!("{allocator}: no walk at step {step}"));
        assert_eq!(walk.damage, None, "{allocator}: step {step}");
        assert_tiles(&walk);
        let mut truth: Vec<Told> = (0..live.size() / 8)
            .filter_map(|slot| {
                let word = |offset| board.peek_word(live.start() + 8 * slot + offset).expect("it is RAM");
                (word(0) != 0).then(|| (word(0), word(4)))
            })
            .collect();
        truth.sort_unstable();
        let used: Vec<Told> = walk
            .blocks
            .iter()
            .filter(|block| block.state == BlockState::Used)
            .map(|block| (block.payload.start(), block.payload.size()))
            .collect();
        let agrees = used.len() == truth.len() && used.iter().zip(&truth).all(|(used, truth)| agree(*used, *truth));
        assert!(agrees, "{allocator}: step {step}: {used:08x?} is not {truth:08x?}");
    }
}

fn assert_tiles(walk: &Walk) {
    let mut blocks = walk.blocks.iter();
    for range in &walk.ranges {
        let mut at = u64::from(range.start());
        while at < range.end() {
            let block = blocks.next().expect("blocks to the end");
            assert_eq!(u64::from(block.range.start()), at);
            assert!(!block.range.is_empty() && range.covers(block.range) && block.range.covers(block.payload));
            at = block.range.end();
        }
    }
    assert_eq!(blocks.next(), None);
}

/// Runs firmware in which somebody else calls sbrk too, and holds the walk against what it did, and what malloc would grant
/// against what it grants then. `last` bytes are freed right before.
fn compare_shared(allocator: &str, arguments: &[&str], is_alone: bool, last: u32) {
    let what = format!("{allocator}, alone: {is_alone}, {last} B freed");
    let last = format!("-DLAST={last}");
    let mut arguments = arguments.to_vec();
    arguments.extend(["-Wl,--defsym=__HeapBase=heap_first", "-Wl,--defsym=__HeapLimit=heap_last", &last]);
    arguments.extend(is_alone.then_some("-DALONE"));
    let elf = compile(&what.replace([' ', ',', ':'], "-"), "shared.c", &arguments);
    let image = Image::parse(Path::new("shared.elf"), &elf).expect("it opens");
    let address = |symbol: &str| image.symbols.get(symbol).expect(symbol).range.start();
    let walker = detect(&image).into_iter().find(|walker| walker.name() == allocator).expect("it is found");
    let board = Board::create(Options::new(Firmware::from_elf(&elf).expect("it loads")).lockstep()).expect("it starts");
    let word = |at: u32| board.peek_word(at).expect("it is RAM");
    let stamp = address("stamp");
    assert!(board.run_until(Duration::from_secs(5), |board| board.peek_word(stamp) == Some(1)), "{what}");
    let mut source = Peek(board.clone());
    let walk = walker.walk(&mut Memory::new(&mut source, LinkCost::default(), 1 << 20)).expect(&what);
    assert_eq!(walk.damage, None, "{what}");
    assert_tiles(&walk);
    let pieces = |symbol: &str| -> Vec<Region> {
        let all = (0..8).map(|index| address(symbol) + 8 * index);
        all.filter(|at| word(*at) != 0).map(|at| Region::new(word(at), word(at + 4))).collect()
    };
    let mut live: Vec<u32> = pieces("live").iter().map(|piece| piece.start()).collect();
    live.sort_unstable();
    let blocks = |state| walk.blocks.iter().filter(move |block| block.state == state);
    let used: Vec<u32> = blocks(BlockState::Used).map(|block| block.payload.start()).collect();
    assert_eq!(used, live, "{what}: {:x?}", walk.blocks);
    for taken in pieces("taken") {
        assert!(blocks(BlockState::Stretch).any(|block| block.range.covers(taken)), "{what}: {:x?}", walk.blocks);
    }
    assert_eq!(blocks(BlockState::Stretch).count(), if is_alone { 0 } else { 2 }, "{what}: {:x?}", walk.blocks);
    assert!(board.run_until(Duration::from_secs(20), |board| board.peek_word(stamp) == Some(2)), "{what}");
    assert_eq!(walk.largest_free, Some(word(address("largest"))), "{what}: {:x?}", walk.blocks);
}

/// The firmware asks its allocator how large a block is.
fn same(walked: Told, truth: Told) -> bool {
    walked == truth
}

/// The firmware knows what it asked for: that is in the block, and nearly all of it.
fn rounded(walked: Told, truth: Told) -> bool {
    walked.0 == truth.0 && (truth.1..truth.1 + 16).contains(&walked.1)
}

#[test]
#[ignore = "needs arm-none-eabi-gcc and newlib"]
fn newlib_malloc_is_walked_block_by_block() {
    compare(&compile("dlmalloc", "churn.c", &["-specs=nosys.specs"]), "newlib malloc", 400, same);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc and newlib"]
fn newlib_nano_malloc_is_walked_block_by_block() {
    let elf = compile("nano", "churn.c", &["-specs=nano.specs", "-specs=nosys.specs"]);
    compare(&elf, "newlib-nano malloc", 400, same);
}

#[test]
#[ignore = "needs arm-none-eabi-gcc, newlib and picolibc"]
fn what_somebody_else_took_from_sbrk_is_walked_over_and_what_malloc_grants_is_told() {
    for is_alone in [true, false] {
        for last in [40, 9000] {
            compare_shared("newlib malloc", &["-specs=nosys.specs"], is_alone, last);
            compare_shared("newlib-nano malloc", &["-specs=nano.specs", "-specs=nosys.specs"], is_alone, last);
            compare_shared("picolibc malloc", &["-specs=picolibc.specs", "-DPICOLIBC"], is_alone, last);
        }
    }
}

#[test]
#[ignore = "needs the Rust target thumbv7m-none-eabi, and crates that are not fetched for the tool"]
fn embedded_alloc_tlsf_is_walked_block_by_block() {
    compare(&build("tlsf"), "rlsf", 400, rounded);
}
