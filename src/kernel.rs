//! Who runs on the target and on which stacks: one trait, one file for each kernel that is known.

pub mod agent;
pub mod baremetal;
mod both;
mod freertos;
mod rtos;
mod rtx5;
mod threadx;
mod zephyr;

use crate::heap::HeapLook;
use crate::image::Image;
use crate::image::layout::{Memory as Chip, Placed};
use crate::memory::Memory;
use crate::model::snapshot::{Measured, StackKind};
use crate::region::Region;
use crate::stack::Paint;

/// Tells the stacks, heaps and named regions of a running firmware. It reads through [`Memory`] only and is pure
/// otherwise.
pub trait Kernel: Send {
    /// What it is called on screen: `agent 1.0`, `bare metal`.
    fn name(&self) -> String;

    /// What the next [`Kernel::look`] will surely read.
    fn wants(&self) -> Vec<Region>;

    /// What there is now; `None` when the target does not hold what this kernel needs (not started yet, another
    /// firmware).
    fn look(&mut self, memory: &mut Memory<'_>, image: &Image) -> Option<Look>;
}

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// All stacks.
    pub stacks: Vec<StackLook>,
    /// All heaps.
    pub heaps: Vec<HeapLook>,
    /// Regions that the firmware named itself.
    pub named: Vec<Placed>,
    /// What is not known and how to know it, in whole sentences.
    pub hints: Vec<String>,
    /// Starts of the firmware since power-on, where it counts them.
    pub boots: Option<u32>,
    /// A number that grows while the firmware runs.
    pub heartbeat: Option<u32>,
    /// The firmware's build id as it tells it.
    pub build_id: Option<u64>,
    /// Registrations that found no slot.
    pub refused: u32,
}

/// One stack as its kernel tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct StackLook {
    /// Stable across refreshes, different for a new thread in an old one's place.
    pub id: String,
    /// Its name, made printable.
    pub name: String,
    /// Whose it is.
    pub kind: StackKind,
    /// Where it is.
    pub range: Region,
    /// The control block of its thread, where the kernel keeps one that is known.
    pub control_block: Option<Region>,
    /// What its kernel says of it as long as it is this thread's.
    pub signs: Vec<Sign>,
    /// How it was prepared.
    pub paint: Paint,
    /// Bytes at its limit that nothing may write.
    pub guard: u32,
    /// The word that its kernel keeps at its limit and checks: the paint begins above it, and another word there is an
    /// overflow.
    pub canary: Option<u32>,
    /// The address of the first function that runs on it, from which its static worst case follows; the Thumb bit may
    /// be set. `None` when nothing tells it, and for a stack that interrupts share.
    pub entry: Option<u32>,
    /// In use, with what the number is worth.
    pub current: Option<Measured>,
    /// The lowest SP seen by the kernel.
    pub lowest_sp: Option<u32>,
    /// The thread's priority as its kernel counts it.
    pub priority: Option<i32>,
    /// What the thread does, in a word.
    pub state: Option<String>,
    /// The share of the time in which it ran, from 0 to 1, where its kernel counts that.
    pub cpu: Option<f32>,
}

impl StackLook {
    /// A stack of which only the place is known.
    #[must_use]
    pub fn unknown(id: String, range: Region) -> Self {
        Self {
            id,
            name: String::new(),
            kind: StackKind::User,
            range,
            control_block: None,
            signs: Vec::new(),
            paint: Paint::None,
            guard: 0,
            canary: None,
            entry: None,
            current: None,
            lowest_sp: None,
            priority: None,
            state: None,
            cpu: None,
        }
    }
}

/// Something that holds in a kernel's memory for as long as a stack is the thread's that was told of: threads come and go
/// while they are looked at, and the next one fills the same memory anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The bits of `mask` in the word at `at` are those of `word`.
    Same {
        /// Where the word lies.
        at: u32,
        /// The bits that count.
        mask: u32,
        /// What they are.
        word: u32,
    },
    /// Some of the bits of `mask` in the word at `at` are set.
    Set {
        /// Where the word lies.
        at: u32,
        /// The bits that count.
        mask: u32,
    },
}

impl Sign {
    /// The word that is looked at.
    #[must_use]
    pub fn place(&self) -> Region {
        let (Self::Same { at, .. } | Self::Set { at, .. }) = self;
        Region::new(*at, 4)
    }

    /// Whether it holds now. What cannot be read is no sign.
    #[must_use]
    pub fn holds(&self, memory: &mut Memory<'_>) -> bool {
        memory.word(self.place().start()).is_some_and(|now| match self {
            Self::Same { mask, word, .. } => (now ^ word) & mask == 0,
            Self::Set { mask, .. } => now & mask != 0,
        })
    }
}

/// The kernel of this firmware by its symbols, and the fallback when the target does not hold what that one needs. The
/// agent comes first: it knows what no kernel keeps, such as the lowest SP. Where there is a kernel too, it adds the
/// threads of which nobody told the agent.
#[must_use]
pub fn detect(image: &Image, memories: &[Chip]) -> (Option<Box<dyn Kernel>>, Box<dyn Kernel>) {
    let agent = agent::Agent::find(image, memories).map(|agent| Box::new(agent) as Box<dyn Kernel>);
    let bare = baremetal::BareMetal::new(image, memories);
    let (rtos, bare) = match find_rtos(image, memories) {
        None => (None, bare),
        Some(Ok(rtos)) => (Some(rtos), bare),
        Some(Err(why)) => (None, bare.because(why)),
    };
    let kernel = match (agent, rtos) {
        (Some(agent), Some(rtos)) => Some(Box::new(both::Both::new(agent, rtos)) as Box<dyn Kernel>),
        (agent, rtos) => agent.or(rtos),
    };
    (kernel, Box::new(bare))
}

/// Whether a kernel that is known is linked: threads have stacks of their own then, and the one that the core begins with is
/// that of the interrupts.
#[must_use]
pub fn is_linked(image: &Image) -> bool {
    freertos::FreeRtos::is_linked(image)
        || rtx5::Rtx5::info(image).is_some()
        || zephyr::Zephyr::kernel(image).is_some()
        || threadx::ThreadX::created(image).is_some()
}

/// The kernel whose symbols are there, or why it cannot be followed.
fn find_rtos(image: &Image, memories: &[Chip]) -> Option<Result<Box<dyn Kernel>, String>> {
    fn boxed<L: rtos::Layout + 'static>(
        found: Option<Result<L, String>>,
        memories: &[Chip],
    ) -> Option<Result<Box<dyn Kernel>, String>> {
        found.map(|found| found.map(|layout| rtos::Rtos::boxed(layout, memories)))
    }
    boxed(freertos::FreeRtos::find(image, memories), memories)
        .or_else(|| boxed(rtx5::Rtx5::find(image, memories), memories))
        .or_else(|| boxed(zephyr::Zephyr::find(image, memories), memories))
        .or_else(|| boxed(threadx::ThreadX::find(image, memories), memories))
}
