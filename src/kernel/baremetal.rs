//! No kernel that we know: one stack, from linker symbols or the vector table, and the linker's heap.

use super::{Kernel, Look, StackLook};
use crate::heap::HeapLook;
use crate::image::Image;
use crate::image::layout::{self, Memory as Chip};
use crate::memory::Memory;
use crate::model::snapshot::StackKind;
use crate::region::Region;
use crate::stack::{KNOWN_PAINT, Paint, Settling};

/// The picture that any firmware has.
#[derive(Debug)]
pub struct BareMetal {
    stack: Option<Region>,
    heap: Option<Region>,
    paint: Settling,
    entry: Option<u32>,
    why: String,
}

impl BareMetal {
    /// Finds the stack and the heap in the image.
    #[must_use]
    pub fn new(image: &Image, memories: &[Chip]) -> Self {
        Self {
            stack: layout::main_stack(image, memories),
            heap: layout::heap(image),
            paint: Settling::default(),
            entry: layout::reset_handler(image),
            why:
                "No agent and no known kernel in this ELF: only the main stack is shown. Add the highwater-agent crate \
                  for threads and heaps."
                    .into(),
        }
    }
}

impl BareMetal {
    /// The same picture, with another reason why it is no more than that.
    #[must_use]
    pub fn because(self, why: String) -> Self {
        Self { why, ..self }
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
        let mut look = Look { hints: vec![self.why.clone()], ..Look::default() };
        if let Some(range) = self.stack {
            let paint = self.paint.refresh(memory, range, KNOWN_PAINT);
            if paint == Paint::None {
                look.hints.push(
                    "The main stack is not painted, so it has no high-water mark: turn on cortex-m-rt's feature \
                     `paint-stack`, or fill it in the startup code."
                        .into(),
                );
            }
            look.stacks.push(StackLook {
                name: "main".into(),
                kind: StackKind::Main,
                paint,
                entry: self.entry,
                ..StackLook::unknown(format!("{:08x}", range.start()), range)
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
