//! Flashing and RTT over the simulated probe, with probe-rs's own code: the board has what they need, and highwater's
//! reader says what probe-rs's does.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{DEMO, INSTANT};
use highwater::simulator::{Board, Image, Options, Segment};
use highwater::source::control::Control;
use highwater::source::emulated;
use highwater::source::flash::{self, FlashError, Stage};
use highwater::source::probe::{HostInstruments, ProbeOptions, ProbeSource};
use highwater::source::rtt::{self, Rtt};
use probe_rs::Permissions;

const FIRMWARE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/run/run.elf");

fn elf(path: &str) -> Vec<u8> {
    std::fs::read(path).expect("the ELF is there")
}

fn image(path: &str) -> Image {
    Image::from_elf(&elf(path)).expect("it runs on a Cortex-M")
}

/// A board for that firmware, with nothing in it.
fn erased(path: &str) -> Arc<Board> {
    Board::create(Options::new(image(path).erased()).link(INSTANT).lockstep()).expect("a board")
}

fn options(board: &Board) -> ProbeOptions {
    emulated::chip(board).expect("it makes a chip")
}

fn holds(board: &Board, image: &Image) -> bool {
    image
        .segments
        .iter()
        .all(|segment| board.peek(segment.address, segment.bytes.len()).as_ref() == Some(&segment.bytes))
}

fn attached(board: &Board) -> ProbeSource {
    let options = ProbeOptions { selector: Some(board.selector().to_string()), ..ProbeOptions::default() };
    ProbeSource::open(options, Box::<HostInstruments>::default()).expect("it attaches")
}

#[test]
fn probe_rs_flashes_the_board_and_what_is_there_is_left_alone() {
    for path in [FIRMWARE, DEMO] {
        let (board, image) = (erased(path), image(path));
        assert!(!holds(&board, &image));
        let mut stages = Vec::new();
        let flashed = flash::flash(&options(&board), &elf(path), true, |progress| {
            assert!(progress.done <= progress.total.next_multiple_of(4096), "{progress:?}");
            if stages.last() != Some(&progress.stage) {
                stages.push(progress.stage);
            }
        });
        let size: usize = image.segments.iter().map(|segment| segment.bytes.len()).sum();
        assert_eq!(flashed.expect("it is flashed").written, Some(size as u64));
        assert!(holds(&board, &image), "every byte is where the ELF has it");
        assert!(stages.ends_with(&[Stage::Erase, Stage::Program, Stage::Verify]), "{stages:?}");
        let before = board.counters();
        let again = flash::flash(&options(&board), &elf(path), true, |progress| {
            assert_eq!(progress.stage, Stage::Compare);
        });
        assert_eq!(again.expect("it is there").written, None);
        assert!(holds(&board, &image) && board.counters().transactions > before.transactions);
    }
}

#[test]
fn what_else_lies_in_a_sector_stays() {
    let firmware = image(FIRMWARE);
    let end =
        firmware.segments.iter().map(|segment| segment.address + u32::try_from(segment.bytes.len()).expect("small"));
    let end = end.max().expect("there are some");
    // Settings, or another image, behind an older build of the firmware.
    let behind = Segment { address: end.next_multiple_of(16), bytes: b"kept".repeat(8) };
    let mut there = firmware.clone();
    there.segments[0].bytes[300] ^= 0xff;
    there.segments.push(behind.clone());
    let board = Board::create(Options::new(there).link(INSTANT).lockstep()).expect("a board");
    assert!(!holds(&board, &firmware));
    flash::flash(&options(&board), &elf(FIRMWARE), true, |_| {}).expect("it is flashed");
    assert!(holds(&board, &firmware));
    assert_eq!(board.peek(behind.address, behind.bytes.len()), Some(behind.bytes));
}

#[test]
fn after_flashing_the_core_runs_undebugged_and_the_firmware_has_not_begun() {
    let board = erased(FIRMWARE);
    flash::flash(&options(&board), &elf(FIRMWARE), false, |_| {}).expect("it is flashed");
    board.advance(Duration::from_millis(10));
    const DHCSR: u32 = 0xe000_edf0;
    let [debugen, halted] = [1, 1 << 17].map(|bit| board.private_word(DHCSR) & bit != 0);
    assert_eq!((debugen, halted, board.locked_up()), (false, false, false));
    let (pc, _) = board.pc_and_sp();
    assert_eq!(pc, 0x2000_0000, "it goes round in RAM");
    let source = attached(&board);
    let halts = board.counters().halts;
    source.control().reset_and_hold().expect("it stands");
    assert_eq!(board.counters().halts, halts + 1);
    let reset = image(FIRMWARE).segments[0].bytes[4..8].to_vec();
    let reset = u32::from_le_bytes(reset.try_into().expect("four")) & !1;
    assert_eq!(board.pc_and_sp().0, reset, "before its first instruction");
}

#[test]
fn a_core_is_no_chip_and_no_foreign_firmware_fits() {
    let board = erased(FIRMWARE);
    let bare = ProbeOptions {
        chip: Some(highwater::source::chip::Chip::find("Cortex-M3", None).expect("probe-rs knows it")),
        ..options(&board)
    };
    let refused = flash::flash(&bare, &elf(FIRMWARE), false, |_| {});
    assert!(
        matches!(refused, Err(FlashError::Firmware { ref why, .. }) if why.contains("no flash algorithm")),
        "{refused:?}"
    );
    let refused = flash::flash(&options(&board), b"no ELF", false, |_| {});
    assert!(matches!(refused, Err(FlashError::Firmware { .. })), "{refused:?}");
    let away =
        flash::flash(&ProbeOptions { selector: Some("1209:0001:none".into()), ..options(&board) }, &[], false, |_| {});
    assert!(matches!(away, Err(FlashError::Open(_))), "{away:?}");
}

#[test]
fn rtt_is_read_as_probe_rs_reads_it_and_without_a_halt() {
    let block = highwater::image::Image::open(FIRMWARE.as_ref()).expect("it opens").symbols.address(rtt::SYMBOL);
    let block = block.expect("it has RTT");
    let ready = || {
        let board = Board::create(Options::new(image(FIRMWARE)).link(INSTANT).lockstep()).expect("a board");
        // Without a debugger the first question for a command line is a fault: a core that is debugged waits there.
        let source = attached(&board);
        let mut control = source.control();
        control.reset_and_hold().expect("it stands");
        highwater::source::control::halt::go_on(&mut control).expect("it runs");
        board.advance(Duration::from_millis(20));
        let call = highwater::source::control::semihosting::answer(&mut control, "").expect("it asks");
        assert!(call.is_some());
        board.advance(Duration::from_millis(20));
        drop((control, source));
        board
    };
    let theirs = {
        let board = ready();
        // The thread of the source before gives the probe back when it has ended.
        let mut probe = board.open();
        while probe.is_err() {
            std::thread::yield_now();
            probe = board.open();
        }
        let probe = probe.expect("it is open");
        let mut session = probe.attach(board.description().expect("a chip"), Permissions::new()).expect("a session");
        let mut core = session.core(0).expect("a core");
        let mut rtt = probe_rs::rtt::Rtt::attach_at(&mut core, u64::from(block)).expect("a control block");
        let channels = rtt.up_channels().iter_mut().map(|channel| {
            let mut bytes = vec![0; 1024];
            let mut all = Vec::new();
            // Up to the end of the buffer, and from its beginning: two reads, before the firmware goes on.
            let read = channel.read(&mut core, &mut bytes).expect("it reads");
            all.extend_from_slice(&bytes[..read]);
            (channel.name().unwrap_or_default().to_owned(), all)
        });
        channels.collect::<Vec<_>>()
    };
    let ours = {
        let board = ready();
        let source = loop {
            if board.open().is_ok() {
                break attached(&board);
            }
            std::thread::yield_now();
        };
        let memories = board.memory().iter().map(|(_, region)| *region).collect();
        let before = board.counters();
        let look = Rtt::new(block, memories).look(&mut source.control()).expect("it reads");
        let after = board.counters();
        assert_eq!(after.halts, before.halts, "no halt");
        assert_eq!(after.memory_writes - before.memory_writes, look.pieces.len() as u64, "one word for each channel");
        look.pieces.into_iter().map(|piece| (piece.name, piece.bytes)).collect::<Vec<_>>()
    };
    assert_eq!(ours.len(), 2);
    for ((name, bytes), (their_name, their_bytes)) in ours.iter().zip(&theirs) {
        assert_eq!(name, their_name);
        assert!(!bytes.is_empty() && bytes.len() > 10);
        assert_eq!(bytes, their_bytes, "{name}");
    }
}
