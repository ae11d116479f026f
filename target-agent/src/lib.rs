//! The block in RAM that tells highwater where a firmware's memory goes.
//!
//! A firmware declares one block with [`block!`], registers what it has (stacks, heaps, buffers), and lets the
//! allocator be counted by [`Tracked`]. The host finds the block by its symbol, `HIGHWATER`, and reads it over the
//! debug port while the core runs. The agent never waits for the host, and does not know whether there is one.
//!
//! ```
//! use highwater_agent::{Thread, ThreadKind};
//!
//! highwater_agent::block!(threads: 8, heaps: 1, regions: 4);
//!
//! fn start() -> Result<(), highwater_agent::Full> {
//!     HIGHWATER.init(HIGHWATER_BUILD_ID);
//!     HIGHWATER.register_thread(&Thread::new(c"main", ThreadKind::Main, 0x2000_1530, 4096))?;
//!     Ok(())
//! }
//! # start().unwrap();
//! ```
//!
//! # What it asks of a firmware
//!
//! - 32-bit processors: Cortex-M from the M0 on, or riscv32 in machine mode. No compare-and-swap is used.
//! - One core writes a block. A second core gets a block of its own.
//! - A Cortex-M7 with its data cache on keeps the block in DTCM or in memory that is not cached, since a debug port
//!   reads memory and not the cache.
//!
//! Everything in the block is written with relaxed atomic stores of single words, so that a debugger never sees half
//! a word; groups of words that must agree are framed, see [`layout`].
//!
//! No function of this crate allocates, panics, or waits. Each says what it costs: the numbers are those that
//! `measure.sh` prints for a Cortex-M3 at `opt-level = "s"`, with the code of one call, and the README has those of the
//! other cores.

#![no_std]
#![warn(clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc)]

#[cfg(test)]
extern crate std;

mod block;
mod build_id;
mod critical;
mod heap;
pub mod layout;
mod owners;
mod region;
pub mod stack;
mod table;
mod thread;

pub use block::Block;
pub use build_id::build_id;
pub use heap::{HeapCounters, Tracked};
pub use layout::{RegionKind, ThreadKind, ThreadState};
pub use owners::Owned;
pub use region::{Region, RegionId};
pub use table::Full;
pub use thread::{Thread, ThreadId};
