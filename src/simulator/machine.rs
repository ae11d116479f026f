//! The target as one piece: core, debug registers and memory on one clock. Everything here happens between two
//! instructions; whoever holds the machine has stopped time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::calls::Calls;
use super::core::{Core, PC, SP, Step};
use super::counters::Tally;
use super::debug::{Cause, Debug, Order};
use super::faults::{Fault, Faults};
use super::image::{CoreKind, Image};
use super::memory::Memory;

/// Cycles between two looks at whether the core asks for a reset, or somebody waits for the machine.
const CHUNK: u64 = 128;

/// What can be known without stopping the machine.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Emulated time: nanoseconds.
    pub(crate) time: AtomicU64,
    /// The core sleeps.
    pub(crate) asleep: AtomicBool,
}

/// What a machine is made of.
pub(crate) struct Parts {
    pub(crate) core: Box<dyn Core>,
    pub(crate) kind: CoreKind,
    pub(crate) watchpoints: u32,
    pub(crate) memory: Arc<Memory>,
    pub(crate) image: Image,
    pub(crate) pokes: Vec<(u32, u32)>,
    pub(crate) seed: u64,
    pub(crate) hz: u32,
    pub(crate) faults: Arc<Faults>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) shown: Arc<Shown>,
}

pub(crate) struct Machine {
    parts: Parts,
    debug: Debug,
    /// Cycles since the board was created. Time goes on while the core is halted, held in reset or asleep.
    clock: u64,
    power_ons: u64,
    held: bool,
    /// The calls on one stack, while somebody wants them.
    calls: Option<Calls>,
}

impl Machine {
    pub(crate) fn new(parts: Parts) -> Self {
        let debug = Debug::new(parts.kind, parts.watchpoints);
        let mut machine = Self { parts, debug, clock: 0, power_ons: 0, held: false, calls: None };
        machine.power_on();
        machine
    }

    pub(crate) fn clock(&self) -> u64 {
        self.clock
    }

    pub(crate) fn core(&self) -> &dyn Core {
        &*self.parts.core
    }

    /// Follows the calls on a stack from now on, or none any more.
    pub(crate) fn trace_calls(&mut self, calls: Option<Calls>) {
        self.calls = calls;
    }

    /// The return addresses of the calls on the stack that is followed, the innermost first.
    pub(crate) fn calls(&self) -> Vec<u32> {
        self.calls.as_ref().map(Calls::open).unwrap_or_default()
    }

    /// RAM gets its random content and everything else its first state.
    fn power_on(&mut self) {
        let Parts { memory, image, pokes, seed, kind, watchpoints, .. } = &self.parts;
        memory.power_on(seed.wrapping_add(self.power_ons), image, pokes);
        memory.watch.power_on();
        self.debug = Debug::new(*kind, *watchpoints);
        self.power_ons += 1;
        self.parts.tally.power_ons.add(1);
        self.parts.core.reset();
    }

    /// A reset of the core and its peripherals; memory and debug port live on.
    pub(crate) fn reset(&mut self) {
        let traced = self.parts.core.private(super::DEMCR);
        self.parts.core.reset();
        // Trace and debug are not reset with the core (ARM DDI 0403 B1.5.5).
        self.parts.core.set_private(super::DEMCR, traced);
        self.parts.tally.resets.add(1);
        if self.debug.reset() {
            self.enter_debug(Cause::VectorCatch);
        }
    }

    /// The reset pin: while it is held, nothing runs.
    pub(crate) fn hold_reset(&mut self, held: bool) {
        if held && !self.held {
            self.debug.note_reset();
        } else if self.held && !held {
            self.reset();
        }
        self.held = held;
    }

    pub(crate) fn in_reset(&self) -> bool {
        self.held
    }

    pub(crate) fn apply(&mut self, fault: Fault) {
        self.parts.faults.set(fault);
        match fault {
            Fault::PowerCycle => self.power_on(),
            Fault::Reset => self.reset(),
            _ => {}
        }
    }

    /// Runs to `target` cycles, or until somebody is `waiting` for the machine.
    pub(crate) fn run(&mut self, target: u64, waiting: Option<&AtomicU32>) {
        while self.clock < target && waiting.is_none_or(|waiting| waiting.load(Ordering::Acquire) == 0) {
            let due = match self.parts.faults.due() {
                u64::MAX => u64::MAX,
                due => cycles(due, self.parts.hz),
            };
            if due <= self.clock {
                if let Some(fault) = self.parts.faults.take_due(u64::MAX) {
                    self.apply(fault);
                }
                continue;
            }
            self.advance(target.min(due));
        }
        self.show();
    }

    /// Comes nearer to `until`: by a chunk, by a sleep, or at once when nothing can run.
    fn advance(&mut self, until: u64) {
        let left = until - self.clock;
        let core = &mut self.parts.core;
        if self.held || self.debug.halted() || core.locked_up() {
            self.clock = until;
            return;
        }
        if core.asleep() {
            match core.cycles_to_event() {
                Some(0) => {}
                event => {
                    let pause = event.map_or(left, |event| event.min(left));
                    core.skip(pause);
                    self.clock += pause;
                    return;
                }
            }
        }
        if self.debug.enabled() || self.parts.memory.watch.wants_instructions() || self.calls.is_some() {
            self.clock += self.step();
        } else {
            let (used, instructions) = core.run(left.min(CHUNK));
            self.clock += used;
            self.parts.tally.instructions.add(instructions);
            self.debug.retire();
        }
        if self.parts.core.take_reset_request() {
            self.reset();
        }
    }

    /// One instruction under the eyes of the debug registers; its cycles.
    fn step(&mut self) -> u64 {
        let pc = self.parts.core.register(PC);
        if self.debug.enabled() && self.debug.breaks_at(pc, &self.parts.memory) {
            self.enter_debug(Cause::Breakpoint);
            return 0;
        }
        let before = self.parts.core.exception();
        let used = self.execute(pc, false);
        if self.debug.enabled() {
            let hard_fault = self.parts.core.exception() == 3 && before != 3;
            if self.parts.memory.watch.take_trap() {
                self.enter_debug(Cause::Watchpoint);
            } else if hard_fault && self.debug.catches_hard_faults() {
                self.enter_debug(Cause::VectorCatch);
            }
        }
        used
    }

    fn execute(&mut self, pc: u32, wake: bool) -> u64 {
        let used = self.parts.core.step(Step { masked: self.debug.masks_interrupts(), wake });
        self.parts.tally.instructions.add(1);
        self.debug.retire();
        let watch = &self.parts.memory.watch;
        if watch.wants_instructions() {
            watch.note_instruction(pc, || self.parts.core.register(SP));
        }
        if let Some(calls) = &mut self.calls {
            calls.note(pc, &*self.parts.core, &self.parts.memory);
        }
        used
    }

    fn enter_debug(&mut self, cause: Cause) {
        self.debug.enter(cause);
        self.parts.tally.halts.add(1);
        // What a comparator saw before has had its chance.
        self.parts.memory.watch.take_trap();
    }

    /// The debug port reads a private peripheral.
    pub(crate) fn read_private(&mut self, address: u32) -> u32 {
        let Parts { core, memory, .. } = &mut self.parts;
        self.debug.read(address, &mut **core, memory)
    }

    /// The debug port writes one. A step is done when this returns, so `S_HALT` is never seen set before it.
    pub(crate) fn write_private(&mut self, address: u32, value: u32) {
        let Parts { core, memory, .. } = &mut self.parts;
        if !self.debug.enabled() {
            // What a comparator saw while nobody was debugging halts nobody later.
            memory.watch.take_trap();
        }
        match self.debug.write(address, value, &mut **core, memory) {
            Order::Nothing => {}
            Order::Halt => self.enter_debug(Cause::Halted),
            Order::Resume => self.debug.leave(),
            Order::Reset => self.reset(),
            Order::Step => {
                self.debug.leave();
                let pc = self.parts.core.register(PC);
                self.clock += self.execute(pc, true);
                let watched = self.parts.memory.watch.take_trap();
                self.enter_debug(if watched { Cause::Watchpoint } else { Cause::Halted });
            }
        }
        self.show();
    }

    /// Cycles for which the machine has nothing to do; `None` when it works.
    pub(crate) fn idle(&self) -> Option<u64> {
        let core = &self.parts.core;
        if self.held || self.debug.halted() || core.locked_up() {
            return Some(u64::MAX);
        }
        core.asleep().then(|| core.cycles_to_event().unwrap_or(u64::MAX))
    }

    fn show(&self) {
        let shown = &self.parts.shown;
        shown.time.store(nanoseconds(self.clock, self.parts.hz), Ordering::Release);
        shown.asleep.store(!self.debug.halted() && self.parts.core.asleep(), Ordering::Release);
    }
}

/// Cycles of a clock of `hz` in `nanoseconds`, rounded down.
#[expect(clippy::cast_possible_truncation, reason = "500 years at 1 GHz fit")]
pub(crate) fn cycles(nanoseconds: u64, hz: u32) -> u64 {
    (u128::from(nanoseconds) * u128::from(hz) / 1_000_000_000) as u64
}

/// Nanoseconds that `cycles` of a clock of `hz` take, rounded up: the first moment at which they have passed.
#[expect(clippy::cast_possible_truncation, reason = "500 years at 1 GHz fit")]
pub(crate) fn nanoseconds(cycles: u64, hz: u32) -> u64 {
    (u128::from(cycles) * 1_000_000_000).div_ceil(u128::from(hz)) as u64
}
