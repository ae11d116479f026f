//! The simulated probe through the real probe-rs: what reading costs and leaves alone, halting debug, faults, time.
#![cfg(feature = "simulator")]

use std::sync::Arc;
use std::time::Duration;

use highwater::region::Region;
use highwater::simulator::{AsleepAnswer, Board, BoardError, CoreKind, Fault, Image, LinkModel, Options, Segment};
use probe_rs::architecture::arm::dp::DpAddress;
use probe_rs::architecture::arm::memory::ArmMemoryInterface;
use probe_rs::architecture::arm::sequences::DefaultArmSequence;
use probe_rs::architecture::arm::{ArmDebugInterface, ArmError, DapError, FullyQualifiedApAddress};
use probe_rs::probe::list::Lister;
use probe_rs::probe::{DebugProbeError, WireProtocol};
use probe_rs::{HaltReason, Permissions, Session};

const FLASH: u32 = 0x0800_0000;
/// Counts `SysTick` interrupts, one a millisecond.
const TICKS: u32 = 0x2000_0000;
/// Counts rounds of the main loop.
const ROUNDS: u32 = 0x2000_0004;
/// Never touched by the firmware.
const SPARE: u32 = 0x2000_0800;
const AP: FullyQualifiedApAddress = FullyQualifiedApAddress::v1_with_default_dp(0);

const WORK: u32 = FLASH + 0x5c;
const STORE: u32 = FLASH + 0x62;
const DHCSR: u64 = 0xe000_edf0;
const DEMCR: u64 = 0xe000_edfc;
const AIRCR: u64 = 0xe000_ed0c;
const S_RESET_ST: u32 = 1 << 25;
const S_SLEEP: u32 = 1 << 18;
const MATCHED: u32 = 1 << 24;

/// The vector table (stack, reset, faults, `SysTick` last) and the program:
///
/// ```text
/// 40 reset: ldr r0, =0xe000e010; ldr r1, =15999; str r1, [r0, #4]; str r1, [r0, #8]; movs r1, #7; str r1, [r0]
/// 4c        ldr r4, =0x20000000; movs r5, #0; str r5, [r4]; str r5, [r4, #4]
/// 54 loop:  wfi; bl work; b loop
/// 5c work:  push {r6, lr}; ldr r5, [r4, #4]; adds r5, #1; str r5, [r4, #4]; pop {r6, pc}
/// 68 tick:  ldr r0, =0x20000000; ldr r1, [r0]; adds r1, #1; str r1, [r0]; bx lr
/// 74 fault: b fault
/// ```
fn program(busy: bool) -> Image {
    let mut words = vec![0x2000_1000, FLASH + 0x41];
    words.extend([FLASH + 0x75; 13]);
    words.push(FLASH + 0x69);
    words.extend([0x490e_480d, 0x6081_6041, 0x6001_2107, 0x2500_4c0c, 0x6065_6025]);
    // The wait for an interrupt becomes a `nop` in a program that never sleeps.
    words.push(if busy { 0xf000_bf00 } else { 0xf000_bf30 });
    words.extend([0xe7fb_f801, 0x6865_b540, 0x6065_3501, 0xbf00_bd40, 0x6801_4805, 0x6001_3101]);
    words.extend([0xbf00_4770, 0xbf00_e7fe, 0xe000_e010, 15_999, 0x2000_0000]);
    let bytes = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    Image::from_segments(vec![Segment { address: FLASH, bytes }], FLASH)
}

fn lockstep(busy: bool) -> Arc<Board> {
    Board::create(Options::new(program(busy)).lockstep()).expect("the options are fine")
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Attaches as highwater does: no session, no halt.
fn attach(board: &Board) -> Box<dyn ArmDebugInterface> {
    let mut probe = board.open().expect("nobody else has it open");
    probe.attach_to_unspecified().expect("it is plugged in");
    let mut arm = probe
        .try_into_arm_debug_interface(DefaultArmSequence::create())
        .unwrap_or_else(|(_, error)| panic!("no ARM interface: {error}"));
    arm.select_debug_port(DpAddress::Default).expect("the debug port answers");
    arm
}

fn memory(arm: &mut dyn ArmDebugInterface) -> Box<dyn ArmMemoryInterface + '_> {
    arm.memory_interface(&AP).expect("there is an access port")
}

fn session(board: &Board, target: &str) -> Session {
    let mut probe = board.open().expect("nobody else has it open");
    probe.select_protocol(WireProtocol::Swd).expect("it speaks SWD");
    probe.attach(target, Permissions::new()).unwrap_or_else(|error| panic!("no session: {error}"))
}

fn dap_error<T: std::fmt::Debug>(result: Result<T, ArmError>) -> DapError {
    let error = result.expect_err("a fault was injected");
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if let Some(ArmError::Dap(dap)) = error.downcast_ref::<ArmError>() {
            return *dap;
        }
        if let Some(dap) = error.downcast_ref::<DapError>() {
            return *dap;
        }
        cause = error.source();
    }
    panic!("no DAP error in {error:?}");
}

#[test]
fn reading_while_it_runs_neither_halts_nor_writes() {
    let board = lockstep(false);
    board.advance(ms(10));
    let mut arm = attach(&board);
    let mut block = [0; 300];
    let mut target = memory(&mut *arm);
    target.read_32(u64::from(TICKS), &mut block).expect("RAM is readable");
    assert!((9..=11).contains(&block[0]), "{} ticks in 10 ms", block[0]);
    assert_eq!(block[200], board.peek_word(TICKS + 800).expect("RAM"));
    assert_eq!(target.read_word_32(u64::from(FLASH + 4)).expect("flash is readable"), FLASH + 0x41);
    assert_ne!(target.read_word_32(DHCSR).expect("readable") & S_SLEEP, 0);
    let mut bytes = [0; 7];
    target.read(u64::from(FLASH + 3), &mut bytes).expect("any alignment");
    assert_eq!(bytes.to_vec(), board.peek(FLASH + 3, 7).expect("flash"));
    drop(target);
    drop(arm);
    let counters = board.counters();
    assert_eq!((counters.halts, counters.memory_writes, counters.debug_writes, counters.resets), (0, 0, 0, 0));
    assert!(counters.transactions > 300);
}

#[test]
fn connecting_and_reading_cost_what_the_formulas_say() {
    for (link, packet_words) in [(LinkModel::fs(), 14), (LinkModel::hs(), 126)] {
        let board = Board::create(Options::new(program(false)).lockstep().link(link)).expect("fine");
        let mut probe = board.open().expect("free");
        probe.attach_to_unspecified().expect("plugged in");
        let mut arm = probe.try_into_arm_debug_interface(DefaultArmSequence::create()).map_err(|_| ()).expect("ARM");
        arm.select_debug_port(DpAddress::Default).expect("answers");
        assert_eq!(board.counters().transactions, 14);
        let mut target = memory(&mut *arm);
        target.read_word_32(u64::from(TICKS)).expect("readable");
        let cost = |target: &mut dyn ArmMemoryInterface, address: u32, words: usize| {
            let before = board.counters();
            target.read_32(u64::from(address), &mut vec![0; words]).expect("readable");
            let after = board.counters();
            (after.transactions - before.transactions, after.usb_commands - before.usb_commands)
        };
        assert_eq!(cost(&mut *target, TICKS, 1), (3, 1), "one word, one command");
        let blocks = |words: u64| 1 + words.div_ceil(packet_words);
        assert_eq!(cost(&mut *target, TICKS, 64), (64 + packets(64, packet_words) + 1, blocks(64)));
        assert_eq!(cost(&mut *target, TICKS, 256), (256 + packets(256, packet_words) + 1, blocks(256)));
        let (_, commands) = cost(&mut *target, TICKS + 1000, 256);
        assert_eq!(commands, blocks(6) + blocks(250), "cut where the address increment wraps");
    }
    fn packets(words: u64, packet_words: u64) -> u64 {
        words.div_ceil(packet_words)
    }
}

#[test]
fn lockstep_time_is_the_time_on_the_link() {
    let board = Board::create(Options::new(program(false)).lockstep().link(LinkModel::fs())).expect("fine");
    let mut arm = attach(&board);
    let mut target = memory(&mut *arm);
    let (before, counted) = (board.now(), board.counters());
    target.read_32(u64::from(TICKS), &mut [0; 256]).expect("readable");
    let after = board.counters();
    let commands = after.usb_commands - counted.usb_commands;
    let wire = Duration::from_nanos((after.transactions - counted.transactions) * 11_500);
    let expected = LinkModel::fs().command_latency * u32::try_from(commands).expect("few") + wire;
    let taken = board.now() - before;
    assert!(taken.abs_diff(expected) < Duration::from_micros(2), "{taken:?}, not {expected:?}");
}

#[test]
fn two_lockstep_runs_are_the_same() {
    let run = |seed| {
        let board = Board::create(Options::new(program(true)).lockstep().seed(seed).link(LinkModel::hs())).expect("ok");
        let mut arm = attach(&board);
        let mut target = memory(&mut *arm);
        let mut samples = Vec::new();
        for _ in 0..20 {
            let mut block = [0; 64];
            target.read_32(u64::from(TICKS), &mut block).expect("readable");
            samples.extend(block);
            board.advance(Duration::from_micros(333));
        }
        drop(target);
        drop(arm);
        (samples, board.counters(), board.now(), board.pc_and_sp())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(2).0);
}

#[test]
fn ram_is_noise_at_power_on_and_poked_words_are_set_then_only() {
    let board = Board::create(Options::new(program(false)).lockstep().poke(SPARE, 7)).expect("fine");
    let noise = board.peek_word(SPARE + 4).expect("RAM");
    assert_ne!(noise, 0);
    let mut arm = attach(&board);
    let mut target = memory(&mut *arm);
    assert_eq!(target.read_word_32(u64::from(SPARE)).expect("readable"), 7);
    target.write_word_32(u64::from(SPARE), 8).expect("writable");
    target.flush().expect("fine");
    assert_eq!(board.counters().memory_writes, 1);
    board.inject(Fault::Reset);
    assert_eq!((board.peek_word(SPARE), board.peek_word(SPARE + 4)), (Some(8), Some(noise)));
    board.inject(Fault::PowerCycle);
    assert_eq!(board.peek_word(SPARE), Some(7));
    assert_ne!(board.peek_word(SPARE + 4), Some(noise));
    assert_eq!((board.counters().resets, board.counters().power_ons), (1, 2));
}

#[test]
fn a_session_halts_steps_breaks_and_resets() {
    let board = lockstep(true);
    board.advance(ms(3));
    let mut session = session(&board, "Cortex-M3");
    assert!(board.counters().halts > 0, "a session is not free of halts");
    let mut core = session.core(0).expect("one core");
    core.halt(ms(100)).expect("it halts");
    assert!(core.core_halted().expect("readable"));
    let sp: u32 = core.read_core_reg(core.stack_pointer()).expect("halted");
    assert_eq!(sp, board.pc_and_sp().1);
    let rounds = board.peek_word(ROUNDS);
    board.advance(ms(1));
    assert_eq!(board.peek_word(ROUNDS), rounds, "a halted core stands");

    core.write_core_reg(core.program_counter(), WORK).expect("halted");
    core.write_core_reg(core.registers().core_register(6), 0x1234_5678_u32).expect("halted");
    assert_eq!(core.step().expect("one instruction").pc, u64::from(WORK + 2));
    let pushed = board.pc_and_sp().1;
    assert_eq!(board.peek_word(pushed), Some(0x1234_5678), "the push was that instruction");

    core.set_hw_breakpoint(u64::from(STORE)).expect("there are six");
    for _ in 0..3 {
        core.run().expect("it runs");
        board.advance(ms(1));
        core.wait_for_core_halted(ms(100)).expect("the breakpoint is hit");
        let status = core.status().expect("readable");
        assert!(matches!(status, probe_rs::CoreStatus::Halted(HaltReason::Breakpoint(_))), "{status:?}");
        let pc: u32 = core.read_core_reg(core.program_counter()).expect("halted");
        assert_eq!(pc, STORE);
    }
    core.clear_hw_breakpoint(u64::from(STORE)).expect("set above");

    let start = core.reset_and_halt(ms(100)).expect("it resets");
    assert_eq!(start.pc, u64::from(FLASH + 0x40));
    assert_eq!(board.counters().resets, 1);
    core.reset().expect("it resets");
    board.advance(ms(5));
    assert!(board.peek_word(TICKS).expect("RAM") >= 4, "it runs after the reset");
    assert_eq!(board.counters().memory_writes, 0);
}

#[test]
fn the_reset_pin_holds_the_core_and_lets_it_start_anew() {
    let board = lockstep(true);
    board.advance(ms(9));
    let mut probe = board.open().expect("nobody else has it open");
    probe.target_reset_assert().expect("it has a reset pin");
    let rounds = board.peek_word(ROUNDS);
    board.advance(ms(5));
    assert_eq!(board.peek_word(ROUNDS), rounds, "nothing runs while it is held");
    probe.target_reset_deassert().expect("it has a reset pin");
    board.advance(ms(3));
    assert!((2..=3).contains(&board.peek_word(TICKS).expect("RAM")), "it has started anew");
    assert_eq!((board.counters().resets, board.counters().halts), (1, 0));
}

#[test]
fn every_core_can_be_attached_to() {
    for kind in [CoreKind::M0Plus, CoreKind::M3, CoreKind::M4F, CoreKind::M7F, CoreKind::M33F] {
        let mut options = Options::new(program(false)).lockstep();
        options.core = Some(kind);
        let board = Board::create(options).expect("fine");
        board.advance(ms(2));
        let mut session = session(&board, kind.target());
        let mut core = session.core(0).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        core.halt(ms(100)).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        core.step().unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        core.set_hw_breakpoint(u64::from(WORK)).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        core.run().expect("it runs");
        board.advance(ms(3));
        core.wait_for_core_halted(ms(100)).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(board.pc_and_sp().0, WORK, "{kind:?}");
        drop(core);
        drop(session);
        let ticks = board.peek_word(TICKS);
        board.advance(ms(5));
        assert!(board.peek_word(TICKS) > ticks, "{kind:?} runs on when the debugger has left");
    }
}

#[test]
fn a_watchpoint_halts_behind_the_store() {
    let board = lockstep(true);
    board.advance(ms(1));
    let mut arm = attach(&board);
    let mut target = memory(&mut *arm);
    let before = board.counters().halts;
    for (address, value) in
        [(DHCSR, 0xa05f_0001), (DEMCR, 1 << 24), (0xe000_1020, ROUNDS), (0xe000_1024, 2), (0xe000_1028, 0b0110)]
    {
        target.write_word_32(address, value).expect("writable");
    }
    target.flush().expect("fine");
    board.advance(ms(1));
    assert_eq!(board.counters().halts, before + 1);
    assert_eq!(board.pc_and_sp().0, STORE + 2, "the instruction after the store");
    assert_ne!(target.read_word_32(0xe000_ed30).expect("readable") & 1 << 2, 0, "DFSR.DWTTRAP");
    target.write_word_32(DHCSR, 0xa05f_0000).expect("writable");
    target.flush().expect("fine");
    let rounds = board.peek_word(ROUNDS);
    board.advance(ms(1));
    assert!(board.peek_word(ROUNDS) > rounds, "without C_DEBUGEN it runs on");
    assert_eq!(board.counters().memory_writes, 0);
}

#[test]
fn a_watch_without_halting_sets_a_flag_that_reading_clears() {
    let board = lockstep(false);
    let mut arm = attach(&board);
    let mut target = memory(&mut *arm);
    for (address, value) in [(DEMCR, 1 << 24), (0xe000_1030, TICKS), (0xe000_1034, 2), (0xe000_1038, 0b1010)] {
        target.write_word_32(address, value).expect("writable");
    }
    target.flush().expect("fine");
    assert_eq!(target.read_word_32(0xe000_1000).expect("readable") >> 28, 4, "NUMCOMP");
    board.advance(ms(2));
    assert_ne!(target.read_word_32(0xe000_1038).expect("readable") & MATCHED, 0);
    assert_eq!(target.read_word_32(0xe000_1038).expect("readable") & MATCHED, 0);
    board.advance(ms(2));
    assert_ne!(target.read_word_32(0xe000_1038).expect("readable") & MATCHED, 0);
    assert_eq!(board.counters().halts, 0);
}

#[test]
fn a_store_watch_tells_the_instruction() {
    let board = lockstep(true);
    board.advance(ms(1));
    let watch = board.watch_store(Region::new(ROUNDS, 4));
    assert_eq!(watch.last(), None);
    board.advance(ms(1));
    let hit = watch.last().expect("the loop stores there");
    assert_eq!((hit.pc, hit.address, hit.sp), (STORE, ROUNDS, 0x2000_0ff8));
    assert!(hit.value > 0 && hit.value <= board.peek_word(ROUNDS).expect("RAM"));
    assert_eq!(board.counters().halts, 0);
}

#[test]
fn the_pc_can_be_sampled() {
    let board = lockstep(true);
    let mut arm = attach(&board);
    let mut target = memory(&mut *arm);
    for _ in 0..50 {
        let pc = target.read_word_32(0xe000_101c).expect("readable");
        assert!((FLASH + 0x40..FLASH + 0x78).contains(&pc), "{pc:#x}");
    }
    assert_eq!(board.counters().halts, 0);
}

#[test]
fn waits_are_repeated_until_the_probe_gives_up() {
    let link = LinkModel::fs().with_wait_retries(100);
    let board = Board::create(Options::new(program(false)).lockstep().link(link)).expect("fine");
    let mut arm = attach(&board);
    let mut target = memory(&mut *arm);
    let before = board.counters().transactions;
    board.inject(Fault::Wait(40));
    target.read_word_32(u64::from(TICKS)).expect("40 repetitions are few");
    assert!(board.counters().transactions - before >= 43);
    board.inject(Fault::WaitForever);
    assert_eq!(dap_error(target.read_word_32(u64::from(TICKS))), DapError::WaitResponse);
    assert_eq!(dap_error(target.read_32(u64::from(TICKS), &mut [0; 8])), DapError::WaitResponse);
    board.inject(Fault::Clear);
    target.read_word_32(u64::from(TICKS)).expect("it answers again");
}

#[test]
fn a_fault_and_a_bad_address_are_over_with_the_next_read() {
    let board = lockstep(false);
    let mut arm = attach(&board);
    let mut target = memory(&mut *arm);
    board.inject(Fault::Fault(1));
    assert_eq!(dap_error(target.read_word_32(u64::from(TICKS))), DapError::FaultResponse);
    target.read_word_32(u64::from(TICKS)).expect("the sticky error was cleared");
    let error = target.read_32(0x9000_0000, &mut [0; 4]).expect_err("no memory there");
    assert!(matches!(error, ArmError::AccessPort { .. }), "{error:?}");
    assert_eq!(dap_error(target.read_word_32(0x9000_0000)), DapError::FaultResponse);
    target.read_word_32(u64::from(TICKS)).expect("fine again");
    target.write_word_32(u64::from(FLASH), 0).expect("queued");
    assert_eq!(dap_error(target.flush()), DapError::FaultResponse, "flash is not written like RAM");
}

#[test]
fn a_power_cycle_needs_a_new_connection_and_says_so() {
    let board = lockstep(false);
    let mut arm = attach(&board);
    let status = memory(&mut *arm).read_word_32(DHCSR).expect("readable");
    assert_ne!(status & S_RESET_ST, 0, "it has been powered on");
    let mut target = memory(&mut *arm);
    assert_eq!(target.read_word_32(DHCSR).expect("readable") & S_RESET_ST, 0, "reading clears it");
    board.inject_at(board.now() + ms(5), Fault::PowerCycle);
    board.advance(ms(4));
    target.read_word_32(u64::from(TICKS)).expect("not yet");
    board.advance(ms(2));
    assert_eq!(dap_error(target.read_word_32(u64::from(TICKS))), DapError::NoAcknowledge);
    drop(target);
    arm.reinitialize().expect("it connects again");
    let mut target = memory(&mut *arm);
    assert_ne!(target.read_word_32(DHCSR).expect("readable") & S_RESET_ST, 0);
    assert!(target.read_word_32(u64::from(TICKS)).expect("readable") < 5, "it has started anew");
}

#[test]
fn a_reset_keeps_the_connection() {
    let board = lockstep(false);
    board.advance(ms(20));
    let mut arm = attach(&board);
    let mut target = memory(&mut *arm);
    target.read_word_32(DHCSR).expect("readable");
    board.inject(Fault::Reset);
    assert_ne!(target.read_word_32(DHCSR).expect("readable") & S_RESET_ST, 0);
    assert!(target.read_word_32(u64::from(TICKS)).expect("readable") < 20);
    target.write_word_32(AIRCR, 0x05fa_0004).expect("writable");
    target.flush().expect("fine");
    assert_ne!(target.read_word_32(DHCSR).expect("readable") & S_RESET_ST, 0);
    assert_eq!((board.counters().resets, board.counters().halts), (2, 0));
}

#[test]
fn silence_needs_a_line_reset() {
    let board = lockstep(false);
    let mut arm = attach(&board);
    board.inject(Fault::Silence(1));
    assert_eq!(dap_error(memory_or_error(&mut *arm)), DapError::NoAcknowledge);
    arm.reinitialize().expect("a line reset helps");
    memory(&mut *arm).read_word_32(u64::from(TICKS)).expect("readable");
}

fn memory_or_error(arm: &mut dyn ArmDebugInterface) -> Result<u32, ArmError> {
    arm.memory_interface(&AP)?.read_word_32(u64::from(TICKS))
}

#[test]
fn an_unplugged_probe_fails_until_it_is_plugged_in() {
    let board = lockstep(false);
    let mut arm = attach(&board);
    let mut target = memory(&mut *arm);
    board.unplug();
    let error = target.read_word_32(u64::from(TICKS)).expect_err("unplugged");
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let is_usb = std::iter::from_fn(|| {
        let error = cause?;
        cause = error.source();
        Some(error)
    })
    .any(|error| {
        matches!(error.downcast_ref::<ArmError>(), Some(ArmError::Probe(DebugProbeError::Usb(_))))
            || matches!(error.downcast_ref::<DebugProbeError>(), Some(DebugProbeError::Usb(_)))
    });
    assert!(is_usb, "{error:?}");
    board.plug();
    target.read_word_32(u64::from(TICKS)).expect("plugged in, the target kept its supply");
    drop(target);
    drop(arm);
    board.unplug();
    assert!(board.open().is_err());
    board.plug();
    let mut arm = attach(&board);
    memory(&mut *arm).read_word_32(u64::from(TICKS)).expect("readable");
}

#[test]
fn a_sleeping_target_may_answer_zeros_or_not_at_all() {
    let link = LinkModel::ideal().with_wait_retries(10);
    let board = Board::create(Options::new(program(false)).lockstep().link(link)).expect("fine");
    let mut arm = attach(&board);
    let mut target = memory(&mut *arm);
    board.advance(Duration::from_micros(3500));
    assert!(board.asleep());
    assert!(target.read_word_32(u64::from(TICKS)).expect("readable") > 0);
    board.inject(Fault::Asleep(AsleepAnswer::Zeros));
    assert_eq!(target.read_word_32(u64::from(TICKS)).expect("zeros"), 0);
    board.inject(Fault::Asleep(AsleepAnswer::Wait));
    assert_eq!(dap_error(target.read_word_32(u64::from(TICKS))), DapError::WaitResponse);
    board.inject(Fault::Asleep(AsleepAnswer::Normal));
    target.read_word_32(u64::from(TICKS)).expect("readable");
}

#[test]
fn a_board_is_found_like_any_probe() {
    let mut options = Options::new(program(false)).lockstep();
    options.serial = Some("FOUND-ME".to_owned());
    let board = Board::create(options.clone()).expect("fine");
    assert!(matches!(Board::create(options), Err(BoardError::SerialTaken(_))));
    let lister = Lister::new();
    assert!(lister.list_all().iter().any(|info| info.serial_number.as_deref() == Some("FOUND-ME")));
    let probe = lister.open(board.selector()).expect("it opens");
    assert!(lister.open(board.selector()).is_err(), "once at a time");
    drop(probe);
    drop(lister.open(board.selector()).expect("free again"));
    let selector = board.selector();
    drop(board);
    assert!(lister.open(selector).is_err(), "gone with its board");
}

#[test]
fn a_free_running_core_keeps_time_and_can_be_debugged() {
    for busy in [false, true] {
        let board = Board::create(Options::new(program(busy))).expect("fine");
        let mut arm = attach(&board);
        let mut target = memory(&mut *arm);
        // RAM is noise until the firmware has set its counters, which takes it microseconds.
        assert!(board.run_until(Duration::from_secs(5), |board| board.now() >= ms(1)));
        let first = target.read_word_32(u64::from(ROUNDS)).expect("readable");
        let mut reads = 0_u32;
        while target.read_word_32(u64::from(ROUNDS)).expect("readable") == first {
            reads += 1;
            assert!(reads < 50_000_000, "the core stands");
        }
        assert!(board.run_until(Duration::from_secs(5), |board| board.peek_word(TICKS) > Some(20)));
        assert!(board.now() >= ms(20));
        assert_eq!(board.counters().halts, 0);
        drop(target);
        drop(arm);
        let mut session = session(&board, "Cortex-M3");
        let mut core = session.core(0).expect("one core");
        core.set_hw_breakpoint(u64::from(STORE)).expect("there are six");
        core.wait_for_core_halted(Duration::from_secs(5)).expect("the breakpoint is hit");
        let pc: u32 = core.read_core_reg(core.program_counter()).expect("halted");
        assert_eq!(pc, STORE);
    }
}

#[test]
fn what_is_not_a_memory_map_is_refused() {
    use highwater::simulator::MemoryKind::{Flash, Ram};
    for memory in [
        vec![(Flash, Region::new(FLASH, 1024)), (Ram, Region::new(FLASH + 1020, 64))],
        vec![(Ram, Region::new(0xdfff_fff0, 64))],
        vec![(Ram, Region::new(TICKS, 0))],
    ] {
        let mut options = Options::new(program(false)).lockstep();
        options.memory = memory;
        assert!(matches!(Board::create(options), Err(BoardError::Memory(_))));
    }
    assert!(Image::from_elf(b"not an ELF").is_err());
}
