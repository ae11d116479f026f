//! The target as the probe and the board's owner share it, and who may run it when.
//!
//! Free-running, the core has a thread that holds the machine most of the time. Whoever else needs it announces
//! himself in `waiting`; the thread sees that at its next look, lets go between two instructions, and waits until
//! nobody is waiting any more. In lockstep there is no thread: time passes when a transfer makes it pass.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::counters::Tally;
use super::dap::Dap;
use super::faults::Faults;
use super::link::LinkModel;
use super::locked;
use super::machine::{Machine, Shown, cycles, nanoseconds};
use super::memory::Memory;

/// How emulated time passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// With real time: the core has a thread of its own, which sleeps when the core does.
    #[default]
    FreeRunning,
    /// With the link: each transfer and command advances the core by what it takes on the wire, and nothing else does
    /// but [`super::Board::advance`]. Two runs with one seed and the same calls are the same, bit by bit.
    Lockstep,
}

/// The longest emulated time that the core's thread may lag behind before it gives up catching up.
const PATIENCE: Duration = Duration::from_millis(20);
/// The longest piece it runs at once, so that what it writes appears as time goes on.
const SLICE: Duration = Duration::from_micros(500);
/// How long it sleeps at least while the core does, so that a tick a millisecond does not wake the host a thousand
/// times a second; the ticks it has slept through come right after. Whoever asks the machine wakes it earlier.
const SHORTEST_REST: Duration = Duration::from_millis(4);
/// The longest it sleeps at once.
const LONGEST_REST: Duration = Duration::from_millis(10);

pub(crate) struct Target {
    pub(crate) serial: String,
    pub(crate) clock: Clock,
    pub(crate) hz: u32,
    pub(crate) link: LinkModel,
    pub(crate) memory: Arc<Memory>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) shown: Arc<Shown>,
    pub(crate) dap: Mutex<Dap>,
    /// A probe is open on it; only one can be, as with a USB device.
    pub(crate) opened: AtomicBool,
    /// The board has been dropped.
    gone: AtomicBool,
    machine: Mutex<Machine>,
    waiting: AtomicU32,
    wake: Condvar,
    /// In lockstep, how much time has passed: nanoseconds. The machine may be an instruction ahead.
    passed: AtomicU64,
}

/// What a target is made of.
pub(crate) struct Parts {
    pub(crate) serial: String,
    pub(crate) clock: Clock,
    pub(crate) hz: u32,
    pub(crate) link: LinkModel,
    pub(crate) dap: Dap,
    pub(crate) memory: Arc<Memory>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) shown: Arc<Shown>,
    pub(crate) machine: Machine,
}

impl Target {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { serial, clock, hz, link, dap, memory, faults, tally, shown, machine } = parts;
        Self {
            serial,
            clock,
            hz,
            link,
            memory,
            faults,
            tally,
            shown,
            dap: Mutex::new(dap),
            opened: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            machine: Mutex::new(machine),
            waiting: AtomicU32::new(0),
            wake: Condvar::new(),
            passed: AtomicU64::new(0),
        }
    }

    /// Whether a probe can reach it: the board exists and is plugged in.
    pub(crate) fn reachable(&self) -> bool {
        !self.gone.load(Ordering::Acquire) && !self.faults.unplugged()
    }

    /// Does something to the machine between two instructions.
    pub(crate) fn with_machine<R>(&self, act: impl FnOnce(&mut Machine) -> R) -> R {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let mut machine = locked(&self.machine);
        let result = act(&mut machine);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        drop(machine);
        if self.clock == Clock::FreeRunning {
            self.wake.notify_all();
        }
        result
    }

    /// Emulated time since the board was created: nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        self.shown.time.load(Ordering::Acquire)
    }

    /// In lockstep, lets the core run for `nanoseconds`.
    pub(crate) fn pass(&self, nanoseconds: u64) {
        if self.clock == Clock::Lockstep && nanoseconds > 0 {
            let passed = self.passed.fetch_add(nanoseconds, Ordering::AcqRel) + nanoseconds;
            self.with_machine(|machine| machine.run(cycles(passed, self.hz), None));
        }
    }

    /// Ends the core's thread.
    pub(crate) fn stop(&self) {
        self.gone.store(true, Ordering::Release);
        self.with_machine(|_| ());
    }

    /// The core's thread.
    pub(crate) fn run_free(&self) {
        let mut machine = locked(&self.machine);
        let mut origin = Instant::now();
        let mut start = machine.clock();
        while !self.gone.load(Ordering::Acquire) {
            if self.waiting.load(Ordering::Acquire) > 0 {
                machine = self.let_go(machine);
                continue;
            }
            let real = u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let mut target = start + cycles(real, self.hz);
            if target.saturating_sub(machine.clock()) > self.cycles_in(PATIENCE) {
                // The host is too slow for this clock, or was asleep itself: time stretches instead of piling up.
                origin = Instant::now();
                start = machine.clock();
                target = start + self.cycles_in(SLICE);
            }
            let slice = machine.clock() + self.cycles_in(SLICE);
            machine.run(target.min(slice), Some(&self.waiting));
            if machine.clock() >= target {
                let rest = |idle| self.duration_of(idle).clamp(SHORTEST_REST, LONGEST_REST);
                let pause = machine.idle().map_or(SLICE, rest);
                machine = match self.wake.wait_timeout(machine, pause) {
                    Ok((machine, _)) => machine,
                    Err(poisoned) => poisoned.into_inner().0,
                };
            }
        }
    }

    fn let_go<'a>(&self, machine: MutexGuard<'a, Machine>) -> MutexGuard<'a, Machine> {
        let waiting = |_: &mut Machine| self.waiting.load(Ordering::Acquire) > 0;
        match self.wake.wait_while(machine, waiting) {
            Ok(machine) => machine,
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    fn cycles_in(&self, time: Duration) -> u64 {
        cycles(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), self.hz)
    }

    fn duration_of(&self, count: u64) -> Duration {
        // Capped first: "never" is not a number of cycles to multiply.
        Duration::from_nanos(nanoseconds(count.min(u64::from(self.hz)), self.hz))
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({})", self.serial)
    }
}
