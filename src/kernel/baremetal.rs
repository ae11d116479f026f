//! No kernel that we know: one stack, from linker symbols or the vector table, and the linker's heap.

use std::time::Duration;

use super::{Kernel, Look, StackLook};
use crate::heap::HeapLook;
use crate::image::Image;
use crate::image::layout::{self, Memory as Chip};
use crate::memory::Memory;
use crate::model::snapshot::StackKind;
use crate::region::Region;
use crate::stack::{self, Paint};

/// The picture that any firmware has.
#[derive(Debug)]
pub struct BareMetal {
    stack: Option<Region>,
    heap: Option<Region>,
    paint: Paint,
    entry: Option<u32>,
    seen: Option<(Paint, Duration)>,
}

/// How long a paint must be there before it is believed: the startup code may still be at work on it.
const SETTLED: Duration = Duration::from_millis(100);

impl BareMetal {
    /// Finds the stack and the heap in the image.
    #[must_use]
    pub fn new(image: &Image, memories: &[Chip]) -> Self {
        Self {
            stack: layout::main_stack(image, memories),
            heap: layout::heap(image),
            paint: Paint::None,
            entry: layout::reset_handler(image),
            seen: None,
        }
    }
}

impl BareMetal {
    /// The stack's paint, once it was seen twice with a while between.
    fn paint_of(&mut self, memory: &mut Memory<'_>, stack: Region) -> Paint {
        let now = memory.now();
        let due = self.seen.is_none_or(|(_, at)| now.saturating_sub(at) >= SETTLED);
        if self.paint == Paint::None && due {
            let found = stack::detect(memory, stack).unwrap_or(Paint::None);
            if self.seen.is_some_and(|(before, _)| before == found) {
                self.paint = found;
            }
            self.seen = Some((found, now));
        }
        self.paint
    }
}

impl Kernel for BareMetal {
    fn name(&self) -> String {
        "bare metal".into()
    }

    fn wants(&self) -> Vec<Region> {
        Vec::new()
    }

    fn look(&mut self, memory: &mut Memory<'_>, _image: &Image) -> Option<Look> {
        let mut look = Look {
            hints: vec![
                "No agent and no known kernel in this ELF: only the main stack is shown. Add the highwater-agent crate \
                 for threads and heaps."
                    .into(),
            ],
            ..Look::default()
        };
        if let Some(range) = self.stack {
            let paint = self.paint_of(memory, range);
            if paint == Paint::None {
                look.hints.push(
                    "The main stack is not painted, so it has no high-water mark: turn on cortex-m-rt's feature \
                     `paint-stack`, or fill it in the startup code."
                        .into(),
                );
            }
            look.stacks.push(StackLook {
                id: format!("{:08x}", range.start()),
                name: "main".into(),
                kind: StackKind::Main,
                range,
                paint,
                guard: 0,
                entry: self.entry,
                current: None,
                lowest_sp: None,
                priority: None,
                state: None,
            });
        } else {
            look.hints.push(
                "No main stack was found: the ELF has neither stack symbols (_stack_start, __StackTop, _estack) nor a \
                 vector table section."
                    .into(),
            );
        }
        if let Some(range) = self.heap {
            look.heaps.push(HeapLook::unknown("heap", range));
        }
        Some(look)
    }
}
