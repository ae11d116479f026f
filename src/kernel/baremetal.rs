//! No kernel that we know: one stack, from linker symbols or the vector table, and the linker's heap.

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
    paint: Option<Paint>,
}

impl BareMetal {
    /// Finds the stack and the heap in the image.
    #[must_use]
    pub fn new(image: &Image, memories: &[Chip]) -> Self {
        Self { stack: layout::main_stack(image, memories), heap: layout::heap(image), paint: None }
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
            // Paint cannot appear later: the firmware would have to be below its own stack to put it there.
            if self.paint.is_none() {
                self.paint = stack::detect(memory, range);
            }
            let paint = self.paint.unwrap_or(Paint::None);
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
