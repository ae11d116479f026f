//! What can go wrong between host and target, injected at once or at a moment of emulated time.
//!
//! Parity errors exist on the bit level only; this probe speaks in transfers, as CMSIS-DAP does, so there are none.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::locked;

/// Something that goes wrong, or right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next accesses through the access port are answered with WAIT, this many transfers long. The probe repeats
    /// them, so up to [`super::LinkModel::wait_retries`] nobody notices but the clock.
    Wait(u32),
    /// Every access through the access port is answered with WAIT, until [`Fault::Clear`]: a hung bus.
    WaitForever,
    /// This many accesses through the access port end with FAULT: the sticky error flag is set, as by a bus error.
    Fault(u32),
    /// This many transfers are not acknowledged at all.
    Silence(u32),
    /// Ends [`Fault::Wait`], [`Fault::WaitForever`], [`Fault::Fault`] and [`Fault::Silence`].
    Clear,
    /// The target loses its supply and gets it back: RAM content is lost, the debug port answers nothing until it is
    /// connected and powered up again, `S_RESET_ST` is set.
    PowerCycle,
    /// The target is reset, as by its watchdog or its button: RAM is kept, `S_RESET_ST` is set, the debug port lives on.
    Reset,
    /// The probe's cable is pulled: every call fails with a USB error, until [`Fault::Plug`].
    Unplug,
    /// The probe's cable is put back. The target has kept its supply.
    Plug,
    /// From now on, this is how the target answers while its core sleeps.
    Asleep(AsleepAnswer),
}

/// What the debug port sees of a target whose core is in WFI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AsleepAnswer {
    /// Everything, as when awake: the bus clock goes on.
    #[default]
    Normal,
    /// Zeros, as from parts whose memory clock stops.
    Zeros,
    /// WAIT, as from parts whose bus clock stops.
    Wait,
}

#[derive(Debug, Default)]
struct State {
    waits: u64,
    faults: u32,
    silences: u32,
    unplugged: bool,
    power_lost: bool,
    asleep: AsleepAnswer,
    schedule: Vec<(u64, Fault)>,
}

/// The faults of one board.
#[derive(Debug)]
pub(crate) struct Faults {
    state: Mutex<State>,
    /// When the next scheduled fault is due: nanoseconds of emulated time.
    due: AtomicU64,
}

/// How a transfer is to be answered because of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoiled {
    No,
    /// WAIT, this many times in a row from now on.
    Wait(u64),
    Fault,
    Silence,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), due: AtomicU64::new(u64::MAX) }
    }

    /// Sets what lies in the link. Resets and power cycles are the machine's business and only noted here.
    pub(crate) fn set(&self, fault: Fault) {
        let mut state = locked(&self.state);
        match fault {
            Fault::Wait(times) => state.waits = u64::from(times),
            Fault::WaitForever => state.waits = u64::MAX,
            Fault::Fault(times) => state.faults = times,
            Fault::Silence(times) => state.silences = times,
            Fault::Clear => (state.waits, state.faults, state.silences) = (0, 0, 0),
            Fault::PowerCycle => state.power_lost = true,
            Fault::Reset => {}
            Fault::Unplug => state.unplugged = true,
            Fault::Plug => state.unplugged = false,
            Fault::Asleep(answer) => state.asleep = answer,
        }
    }

    pub(crate) fn schedule(&self, at: Duration, fault: Fault) {
        let mut state = locked(&self.state);
        state.schedule.push((u64::try_from(at.as_nanos()).unwrap_or(u64::MAX), fault));
        // Stable: of two faults at one moment, the one that was scheduled first comes first.
        state.schedule.sort_by_key(|(due, _)| *due);
        self.due.store(state.schedule[0].0, Ordering::Release);
    }

    /// When the next scheduled fault is due: nanoseconds of emulated time, `u64::MAX` for never.
    pub(crate) fn due(&self) -> u64 {
        self.due.load(Ordering::Acquire)
    }

    /// Takes the first scheduled fault if it is due at `now`.
    pub(crate) fn take_due(&self, now: u64) -> Option<Fault> {
        let mut state = locked(&self.state);
        let (due, fault) = *state.schedule.first()?;
        if due > now {
            return None;
        }
        state.schedule.remove(0);
        self.due.store(state.schedule.first().map_or(u64::MAX, |(due, _)| *due), Ordering::Release);
        Some(fault)
    }

    pub(crate) fn unplugged(&self) -> bool {
        locked(&self.state).unplugged
    }

    /// Whether the debug port has lost its supply since this was last asked.
    pub(crate) fn take_power_loss(&self) -> bool {
        std::mem::take(&mut locked(&self.state).power_lost)
    }

    /// What happens to the next transfer; `access` for one through the access port, `asleep` when the core sleeps.
    pub(crate) fn spoil(&self, access: bool, asleep: bool) -> Spoiled {
        let mut state = locked(&self.state);
        if state.silences > 0 {
            state.silences -= 1;
            return Spoiled::Silence;
        }
        if !access {
            return Spoiled::No;
        }
        if state.waits > 0 {
            return Spoiled::Wait(state.waits);
        }
        if asleep && state.asleep == AsleepAnswer::Wait {
            return Spoiled::Wait(1);
        }
        if state.faults > 0 {
            state.faults -= 1;
            return Spoiled::Fault;
        }
        Spoiled::No
    }

    /// `times` transfers have been answered with WAIT.
    pub(crate) fn waited(&self, times: u64) {
        let mut state = locked(&self.state);
        if state.waits != u64::MAX {
            state.waits = state.waits.saturating_sub(times);
        }
    }

    pub(crate) fn zeros_asleep(&self) -> bool {
        locked(&self.state).asleep == AsleepAnswer::Zeros
    }
}
