//! A small preemptive kernel: the ready thread of the highest priority runs, equals take turns at each tick.
//!
//! Threads run on PSP; the switch (PendSV) and the tick (SysTick) run on MSP. Everything that more than one of them
//! touches is touched with interrupts masked.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::ops::Range;

use highwater_agent::{Thread, ThreadId, ThreadKind, ThreadState, stack};

use crate::truth::{self, STACKS, stack as entry};
use crate::{HIGHWATER, cpu, ledger, threads};

#[derive(Clone, Copy)]
struct Task {
    sp: u32,
    base: u32,
    size: u32,
    /// The tick at which a delayed thread is ready again.
    wake: u32,
    state: ThreadState,
    priority: u8,
    /// `None` for the interrupt stack's entry, which is no thread, and when the agent had no room.
    id: Option<ThreadId>,
    /// Whether it was notified while it did not wait.
    notified: bool,
}

struct Kernel {
    tasks: [Option<Task>; STACKS],
    count: usize,
    current: usize,
}

/// Names a thread: its index among all stacks.
#[derive(Clone, Copy)]
pub struct TaskId(usize);

impl TaskId {
    /// As a number for an atomic word, in which 0 stands for none.
    pub fn to_word(self) -> u32 {
        self.0 as u32 + 1
    }

    /// From such a number.
    pub fn from_word(word: u32) -> Option<Self> {
        word.checked_sub(1).map(|index| Self(index as usize))
    }
}

struct Shared(UnsafeCell<Kernel>);

// SAFETY: `with` is the only way in, and it masks interrupts on the only core.
unsafe impl Sync for Shared {}

static KERNEL: Shared = Shared(UnsafeCell::new(Kernel { tasks: [None; STACKS], count: 0, current: 0 }));

fn with<R>(body: impl FnOnce(&mut Kernel) -> R) -> R {
    // SAFETY: interrupts are masked and no caller's body calls `with` again, so this reference is the only one.
    cpu::masked(|| body(unsafe { &mut *KERNEL.0.get() }))
}

impl Kernel {
    fn add(&mut self, task: Task) -> TaskId {
        let index = self.count;
        ledger::set(ledger::of_stack(index, entry::BASE), task.base);
        ledger::set(ledger::of_stack(index, entry::SIZE), task.size);
        ledger::set(truth::STACK_COUNT, index as u32 + 1);
        self.tasks[index] = Some(task);
        self.count += 1;
        TaskId(index)
    }

    fn set_state(&mut self, index: usize, state: ThreadState) {
        if let Some(task) = &mut self.tasks[index] {
            task.state = state;
            if let Some(id) = task.id {
                HIGHWATER.set_state(id, state);
            }
        }
    }

    /// The ready thread of the highest priority, the one after the current first among equals.
    fn next(&self) -> usize {
        let mut best = None;
        for step in 1..=self.count {
            let index = (self.current + step) % self.count;
            let Some(task) = &self.tasks[index] else { continue };
            let ready = matches!(task.state, ThreadState::Ready | ThreadState::Running);
            if ready && best.is_none_or(|(_, priority)| task.priority > priority) {
                best = Some((index, task.priority));
            }
        }
        best.map_or(self.current, |(index, _)| index)
    }
}

/// Registers the stack that interrupts use. It is painted already, since the startup code ran on it. It has no entry
/// function: what runs on it depends on which interrupts nest.
pub fn register_isr_stack(base: u32, size: u32) {
    let thread = Thread::new(c"ISR", ThreadKind::Isr, base, size).painted();
    // When the block is full the agent has counted it, and the firmware goes on.
    let id = HIGHWATER.register_thread(&thread).ok();
    let state = ThreadState::Unknown;
    with(|kernel| {
        kernel.add(Task { sp: 0, base, size, wake: 0, state, priority: 0, id, notified: false });
    });
}

/// Makes a thread on the given stack, which it paints and registers. It is ready at once.
pub fn spawn(
    name: &'static CStr,
    kind: ThreadKind,
    run: extern "C" fn() -> !,
    memory: Range<u32>,
    priority: u8,
) -> TaskId {
    const FRAME: u32 = 16;
    let (base, size) = (memory.start, memory.end - memory.start);
    // SAFETY: the stack belongs to the thread that does not run yet.
    unsafe { stack::paint(base as *mut u32, size as usize) }
    let sp = memory.end - FRAME * 4;
    let mut frame = [0; FRAME as usize];
    frame[14] = run as usize as u32;
    frame[15] = 1 << 24;
    for (index, word) in frame.into_iter().enumerate() {
        // SAFETY: the frame lies at the top of the stack that was just painted.
        unsafe { (sp as *mut u32).add(index).write(word) }
    }
    let thread = Thread::new(name, kind, base, size).priority(priority).painted().entry(run as usize);
    // When the block is full the agent has counted it, and the thread runs unseen.
    let id = HIGHWATER.register_thread(&thread).ok();
    let state = ThreadState::Ready;
    with(|kernel| {
        let task = kernel.add(Task { sp, base, size, wake: 0, state, priority, id, notified: false });
        kernel.set_state(task.0, state);
        task
    })
}

/// Starts the tick and the first thread. What is on the interrupt stack is given up.
pub fn start() -> ! {
    unsafe extern "C" {
        fn kernel_first(sp: u32) -> !;
    }
    let sp = with(|kernel| {
        kernel.current = kernel.next();
        let first = kernel.current;
        kernel.set_state(first, ThreadState::Running);
        let task = kernel.tasks[first].as_ref();
        HIGHWATER.set_running(task.and_then(|task| task.id));
        task.map_or(0, |task| task.sp)
    });
    cpu::start_tick();
    // SAFETY: `sp` is that of a thread's first frame.
    unsafe { kernel_first(sp) }
}

/// Lets `milliseconds` pass, at least one.
pub fn sleep(milliseconds: u32) {
    with(|kernel| {
        let current = kernel.current;
        if let Some(task) = &mut kernel.tasks[current] {
            task.wake = now().wrapping_add(milliseconds.max(1));
        }
        kernel.set_state(current, ThreadState::Delayed);
    });
    cpu::pend_switch();
}

/// Waits until another thread notifies this one.
pub fn wait() {
    let wait = with(|kernel| {
        let current = kernel.current;
        let noted = kernel.tasks[current].as_mut().is_some_and(|task| core::mem::take(&mut task.notified));
        if !noted {
            kernel.set_state(current, ThreadState::Blocked);
        }
        !noted
    });
    if wait {
        cpu::pend_switch();
    }
}

/// Ends another thread's [`wait`], or its next one.
pub fn notify(task: TaskId) {
    with(|kernel| match &mut kernel.tasks[task.0] {
        Some(Task { state: ThreadState::Blocked, .. }) => kernel.set_state(task.0, ThreadState::Ready),
        Some(task) => task.notified = true,
        None => {}
    });
    cpu::pend_switch();
}

/// The stack of the thread that calls.
pub fn own_stack() -> Range<u32> {
    with(|kernel| kernel.tasks[kernel.current].map_or(0..0, |task| task.base..task.base + task.size))
}

/// Milliseconds since the start.
pub fn now() -> u32 {
    ledger::get(truth::TICKS)
}

/// The lowest address and the size of each stack, in the order of the accounts.
pub fn stack_bounds(index: usize) -> Option<(u32, u32)> {
    with(|kernel| kernel.tasks.get(index).copied().flatten().map(|task| (task.base, task.size)))
}

/// The context switch, on the interrupt stack: takes the stack pointer of the thread that ran, gives that of the next.
#[unsafe(no_mangle)]
extern "C" fn kernel_switch(sp: u32) -> u32 {
    with(|kernel| {
        let out = kernel.current;
        if let Some(task) = &mut kernel.tasks[out] {
            task.sp = sp;
            ledger::switched_out(out, task.base, task.size, sp);
            if let Some(id) = task.id {
                HIGHWATER.on_switch(id, sp);
            }
            if task.state == ThreadState::Running {
                kernel.set_state(out, ThreadState::Ready);
            }
        }
        let next = kernel.next();
        kernel.current = next;
        kernel.set_state(next, ThreadState::Running);
        if next != out {
            ledger::add(truth::SWITCHES, 1);
        }
        let task = kernel.tasks[next].as_ref();
        HIGHWATER.set_running(task.and_then(|task| task.id));
        task.map_or(sp, |task| task.sp)
    })
}

/// The tick.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the name that the vendor's documents use")]
pub unsafe extern "C" fn SysTick() {
    let now = ledger::add(truth::TICKS, 1);
    HIGHWATER.heartbeat();
    threads::from_tick(now);
    let switch = with(|kernel| {
        for index in 0..kernel.count {
            if let Some(Task { state: ThreadState::Delayed, wake, .. }) = kernel.tasks[index]
                && now.wrapping_sub(wake) as i32 >= 0
            {
                kernel.set_state(index, ThreadState::Ready);
            }
        }
        kernel.next() != kernel.current
    });
    if switch {
        cpu::pend_switch();
    }
}

unsafe extern "C" {
    /// Saves a thread's registers on its own stack, and takes up the next one's.
    pub fn PendSV();
}

global_asm!(
    ".section .text.PendSV, \"ax\"",
    ".global PendSV",
    ".type PendSV, %function",
    ".thumb_func",
    "PendSV:",
    "mrs r0, psp",
    "stmdb r0!, {{r4-r11}}",
    "push {{r3, lr}}",
    "bl kernel_switch",
    "pop {{r3, lr}}",
    "ldmia r0!, {{r4-r11}}",
    "msr psp, r0",
    "bx lr",
    ".size PendSV, . - PendSV",
    // Starts the first thread from its prepared frame: r4 to r11, then r0-r3, r12, lr, pc, xpsr.
    ".section .text.kernel_first, \"ax\"",
    ".global kernel_first",
    ".type kernel_first, %function",
    ".thumb_func",
    "kernel_first:",
    "ldr r1, =__isr_stack_end",
    "msr msp, r1",
    "adds r1, r0, #64",
    "msr psp, r1",
    "movs r1, #2",
    "msr control, r1",
    "isb",
    "ldr r1, [r0, #56]",
    "cpsie i",
    "bx r1",
    ".size kernel_first, . - kernel_first",
    ".ltorg",
);
