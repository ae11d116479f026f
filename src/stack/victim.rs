//! What an overflow of a stack hits next: whatever ends where the stack begins.

use crate::image::Image;
use crate::image::symbols::demangle;
use crate::model::snapshot::{MemoryMap, Part, PartKind, Victim};
use crate::region::Region;

/// What lies just below `stack`, named as closely as the picture and the symbols allow; `None` when no memory holds
/// the stack.
#[must_use]
pub fn below(stack: Region, memories: &[MemoryMap], image: &Image) -> Option<Victim> {
    let memory = memories.iter().find(|memory| memory.range.covers(stack))?;
    let Some(last) = stack.start().checked_sub(1).filter(|last| memory.range.contains(*last)) else {
        let name = format!("the end of {}", memory.name);
        return Some(Victim { name, range: Region::new(stack.start(), 0) });
    };
    let part = innermost(&memory.parts, last)?;
    // Within the globals, the object that is hit says more than the section it is in.
    let globals = matches!(part.kind, PartKind::Data | PartKind::Bss | PartKind::Uninit | PartKind::Other);
    if let Some(symbol) = image.symbols.at(last).filter(|symbol| globals && symbol.is_data) {
        return Some(Victim { name: demangle(&symbol.name), range: symbol.range });
    }
    let name = match part.kind {
        PartKind::Unclaimed => "unclaimed memory".into(),
        PartKind::Free => "free heap".into(),
        PartKind::Blocks => "heap blocks".into(),
        _ => part.name.clone(),
    };
    Some(Victim { name, range: part.range })
}

fn innermost(parts: &[Part], address: u32) -> Option<&Part> {
    let part = parts.iter().find(|part| part.range.contains(address))?;
    innermost(&part.parts, address).or(Some(part))
}
