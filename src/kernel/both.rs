//! A firmware with an agent and a kernel that is known: what the agent tells stands, and threads that only the kernel
//! knows are added. An agent may count a heap and know no threads, because nobody hooked it into the kernel.

use super::{Kernel, Look};
use crate::image::Image;
use crate::memory::Memory;
use crate::model::snapshot::StackKind;
use crate::region::Region;

/// An agent beside a kernel.
pub(super) struct Both {
    agent: Box<dyn Kernel>,
    kernel: Box<dyn Kernel>,
    adds: bool,
}

impl Both {
    pub(super) fn new(agent: Box<dyn Kernel>, kernel: Box<dyn Kernel>) -> Self {
        Self { agent, kernel, adds: false }
    }
}

impl Kernel for Both {
    fn name(&self) -> String {
        if self.adds { format!("{} + {}", self.agent.name(), self.kernel.name()) } else { self.agent.name() }
    }

    fn wants(&self) -> Vec<Region> {
        let mut wants = self.agent.wants();
        if self.adds {
            wants.extend(self.kernel.wants());
        }
        wants
    }

    fn look(&mut self, memory: &mut Memory<'_>, image: &Image) -> Option<Look> {
        let Some(mut look) = self.agent.look(memory, image) else {
            self.adds = true;
            return self.kernel.look(memory, image);
        };
        // An agent that is told of threads by the kernel's hooks knows them all, and more about each.
        let hooked = look.stacks.iter().any(|stack| !matches!(stack.kind, StackKind::Main | StackKind::Isr));
        self.adds = !hooked;
        if hooked {
            return Some(look);
        }
        let Some(told) = self.kernel.look(memory, image) else { return Some(look) };
        for stack in told.stacks {
            if !look.stacks.iter().any(|known| known.range.overlaps(stack.range)) {
                look.stacks.push(stack);
            }
        }
        for heap in told.heaps {
            if !look.heaps.iter().any(|known| known.range.overlaps(heap.range)) {
                look.heaps.push(heap);
            }
        }
        look.named.extend(told.named);
        look.hints.extend(told.hints);
        Some(look)
    }
}
