//! An emulated Cortex-M board behind a simulated SWD probe.
//!
//! The board runs a real firmware; the probe is registered with the real probe-rs, unmodified, as a plugin. Whoever
//! attaches to it cannot tell it from a board on the desk, except that it counts what is done to it, that its time can
//! be stopped, and that things can be made to go wrong on it.
//!
//! ```
//! use std::time::Duration;
//! use highwater::simulator::{Board, Image, Options, Segment};
//! use probe_rs::architecture::arm::dp::DpAddress;
//! use probe_rs::architecture::arm::sequences::DefaultArmSequence;
//! use probe_rs::architecture::arm::FullyQualifiedApAddress;
//! use probe_rs::MemoryInterface;
//!
//! // Vectors, then: ldr r0, [pc, #8]; adds r1, #1; str r1, [r0]; b .-4
//! let words: [u32; 6] = [0x2000_1000, 0x0800_0009, 0x3101_4802, 0xe7fc_6001, 0, 0x2000_0000];
//! let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
//! let image = Image::from_segments(vec![Segment { address: 0x0800_0000, bytes }], 0x0800_0000);
//! let board = Board::create(Options::new(image).lockstep())?;
//! board.advance(Duration::from_millis(1));
//!
//! let mut probe = board.open()?;
//! probe.attach_to_unspecified()?;
//! let mut arm = probe.try_into_arm_debug_interface(DefaultArmSequence::create()).map_err(|(_, error)| error)?;
//! arm.select_debug_port(DpAddress::Default)?;
//! let mut memory = arm.memory_interface(&FullyQualifiedApAddress::v1_with_default_dp(0))?;
//! assert!(memory.read_word_32(0x2000_0000)? > 1000);
//! drop(memory);
//! drop(arm);
//! assert_eq!((board.counters().halts, board.counters().memory_writes), (0, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | file | does |
//! |---|---|
//! | `board` | what the board's owner holds |
//! | `image`, `attributes` | what is loaded, and what it was built for |
//! | `core` | the emulator behind a trait |
//! | `memory`, `watch` | words that two sides touch at once, and who notices |
//! | `flash` | the flash controller, the algorithm that drives it, and both as probe-rs describes a chip |
//! | `debug` | debug registers |
//! | `machine` | all of these on one clock |
//! | `target` | who may run the machine when: the core's thread, or the link |
//! | `dap` | debug port and access port, transfer by transfer |
//! | `wire` | transfers and their time |
//! | `probe`, `registry` | probe-rs's side |
//! | `calls` | who called whom on one stack, as it happens |
//! | `link`, `counters`, `faults` | what it costs, what was done, what goes wrong |
//!
//! Not modelled: peripherals but the flash controller (they read as zero), external interrupts, caches, `TrustZone`, JTAG, multidrop, parity.

use std::sync::{Mutex, MutexGuard, PoisonError};

mod attributes;
mod board;
mod calls;
mod core;
mod counters;
mod dap;
mod debug;
mod faults;
mod flash;
mod image;
mod link;
mod machine;
mod memory;
mod probe;
mod registry;
mod target;
mod watch;
mod wire;

pub use board::{Board, BoardError, Options, StoreWatch};
pub use counters::Counters;
pub use dap::Port;
pub use faults::{AsleepAnswer, Fault};
pub use image::{CoreKind, Image, ImageError, Segment};
pub use link::LinkModel;
pub use memory::MemoryKind;
pub use target::Clock;
pub use watch::StoreHit;

/// Debug exception and monitor control (ARM DDI 0403 C1.6.5).
const DEMCR: u32 = 0xe000_edfc;

/// The content of a mutex, also when a thread has panicked over it: a test that fails must not take others with it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
