//! No kernel that we know: the stacks of linker symbols or the vector table, and the linker's heap.

use super::{Kernel, Look, StackLook, zephyr};
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
    stacks: Vec<(StackLook, Settling)>,
    heap: Option<Region>,
    why: String,
}

/// The stacks that the linker tells of: the main one, and beside it that of `main` where the main one is the exceptions'. With a
/// kernel, the main one is the interrupts', as it is called while the firmware runs.
#[must_use]
pub fn stacks(image: &Image, memories: &[Chip]) -> Vec<StackLook> {
    let stack = |name: &str, kind, entry, range: Region| StackLook {
        name: name.into(),
        kind,
        entry,
        ..StackLook::unknown(format!("{:08x}", range.start()), range)
    };
    if super::is_linked(image) {
        let interrupts = zephyr::interrupt_stack(image).or_else(|| layout::main_stack(image, memories));
        return interrupts.map(|range| stack("ISR", StackKind::Isr, None, range)).into_iter().collect();
    }
    let main = layout::main_stack(image, memories);
    let Some(process) = layout::process_stack(image) else {
        let only = |range| stack("main", StackKind::Main, layout::reset_handler(image), range);
        return main.map(only).into_iter().collect();
    };
    let entry = image.symbols.get("main").filter(|symbol| symbol.is_code).map(|symbol| symbol.range.start());
    // What the reset handler calls runs on the other one, once it has switched.
    let main = main.map(|range| stack("main", StackKind::Isr, None, range));
    main.into_iter().chain([stack("process", StackKind::Main, entry, process)]).collect()
}

impl BareMetal {
    /// Finds the stacks and the heap in the image.
    #[must_use]
    pub fn new(image: &Image, memories: &[Chip]) -> Self {
        Self {
            stacks: stacks(image, memories).into_iter().map(|stack| (stack, Settling::default())).collect(),
            heap: layout::heap_within(image, memories),
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
        for (stack, paint) in &mut self.stacks {
            let paint = paint.refresh(memory, stack.range, KNOWN_PAINT);
            if paint == Paint::None {
                look.hints.push(format!(
                    "The {} stack is not painted, so it has no high-water mark: turn on cortex-m-rt's feature \
                     `paint-stack`, or fill it in the startup code.",
                    stack.name
                ));
            }
            look.stacks.push(StackLook { paint, ..stack.clone() });
        }
        if self.stacks.is_empty() {
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
