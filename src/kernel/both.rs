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
            if !look.heaps.iter().any(|known| known.heap.range.overlaps(heap.heap.range)) {
                look.heaps.push(heap);
            }
        }
        look.named.extend(told.named);
        look.hints.extend(told.hints);
        Some(look)
    }
}

#[cfg(test)]
mod tests {
    use super::super::StackLook;
    use super::*;
    use crate::source::link::LinkCost;
    use crate::source::testing::Bytes;

    /// Tells the same each time.
    struct Told(&'static str, Option<Look>);

    impl Kernel for Told {
        fn name(&self) -> String {
            self.0.into()
        }

        fn wants(&self) -> Vec<Region> {
            Vec::new()
        }

        fn look(&mut self, _memory: &mut Memory<'_>, _image: &Image) -> Option<Look> {
            self.1.clone()
        }
    }

    fn stacks(told: &[(&str, StackKind, u32)]) -> Option<Look> {
        let stack = |(name, kind, start): &(&str, StackKind, u32)| StackLook {
            name: (*name).to_owned(),
            kind: *kind,
            ..StackLook::unknown(format!("{start:x}"), Region::new(*start, 0x100))
        };
        Some(Look { stacks: told.iter().map(stack).collect(), heartbeat: Some(1), ..Look::default() })
    }

    #[test]
    fn what_the_agent_tells_stands_and_threads_it_was_not_told_of_are_added() {
        use StackKind::{Idle, Isr, Main, User};
        let kernels = || stacks(&[("task", User, 0x1000), ("idle", Idle, 0x1200), ("ISR", Isr, 0x2080)]);
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.elf");
        let image = Image::open(&path).expect("the demo opens");
        for (agent, name, expected) in [
            (stacks(&[("main", Main, 0x2000)]), "agent + kernel", &["main", "task", "idle"][..]),
            (stacks(&[("main", Main, 0x2000), ("hooked", User, 0x3000)]), "agent", &["main", "hooked"]),
            (None, "agent + kernel", &["task", "idle", "ISR"]),
        ] {
            let mut both = Both::new(Box::new(Told("agent", agent)), Box::new(Told("kernel", kernels())));
            let mut source = Bytes::new(Region::new(0x1000, 0x10));
            let mut memory = Memory::new(&mut source, LinkCost::default(), 1 << 16);
            let look = both.look(&mut memory, &image).expect("somebody knows");
            let names: Vec<&str> = look.stacks.iter().map(|stack| stack.name.as_str()).collect();
            assert_eq!((both.name().as_str(), &names[..]), (name, expected));
        }
    }
}
