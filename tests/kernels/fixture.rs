//! The C programs of the fixtures, loaded as memory that can be damaged.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwater::image::Image;
use highwater::image::layout::{self, Memory};
use highwater::model::snapshot::{Snapshot, Stack, Trust};
use highwater::region::Region;
use highwater::sampler::{Options, Sampler};
use highwater::source::{CoreStatus, Counters, Description, ReadError, Source};

use crate::compile::{compile, loaded};

/// The vector table offset register.
const VTOR: u32 = 0xE000_ED08;
/// The registers of the core, of which the faults are read.
const SYSTEM_CONTROL: Region = Region::new(0xE000_ED00, 0x90);
pub(crate) const RAM: Region = Region::new(0x2000_0000, 64 * 1024);

/// Memory that answers at once.
struct Ram {
    image: Arc<Image>,
    /// What the linker calls memory: nothing else is to be read.
    memories: Vec<Region>,
    content: Vec<u8>,
    now: Duration,
    /// What the vector table offset register says.
    vectors: u32,
    /// A word that reads differently until it was read so often.
    torn: Option<(u32, u32, u32)>,
    /// A word that becomes another one right after it was read.
    after: Option<(u32, u32)>,
}

/// The same memory as a source and in the hands of a test.
#[derive(Clone)]
struct Shared(Arc<Mutex<Ram>>);

impl Source for Shared {
    fn read(&mut self, range: Region, into: &mut [u8]) -> Result<(), ReadError> {
        let mut ram = self.0.lock().expect("no test panicked while it held it");
        if let Some(offset) = RAM.covers(range).then(|| RAM.offset_of(range.start())).flatten() {
            into.copy_from_slice(&ram.content[offset as usize..offset as usize + into.len()]);
            if let Some((address, word, left)) = &mut ram.torn
                && range.covers(Region::new(*address, 4))
                && *left > 0
            {
                *left -= 1;
                let at = (*address - range.start()) as usize;
                into[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
            if let Some((address, word)) = ram.after.take_if(|(address, _)| range.covers(Region::new(*address, 4))) {
                let at = RAM.offset_of(address).expect("it is in RAM") as usize;
                ram.content[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
            return Ok(());
        }
        if range == Region::new(VTOR, 4) {
            into.copy_from_slice(&ram.vectors.to_le_bytes());
            return Ok(());
        }
        assert!(
            SYSTEM_CONTROL.covers(range) || ram.memories.iter().any(|memory| memory.covers(range)),
            "{range:?} is no memory of the target"
        );
        match ram.image.bytes(range) {
            Some(bytes) => into.copy_from_slice(bytes),
            None => return Err(ReadError::Unreadable { range, why: "nothing there".into() }),
        }
        Ok(())
    }

    fn status(&mut self) -> Result<CoreStatus, ReadError> {
        Ok(CoreStatus::Running)
    }

    fn reopen(&mut self) -> Result<(), ReadError> {
        Ok(())
    }

    fn now(&self) -> Duration {
        self.0.lock().expect("no test panicked while it held it").now
    }

    fn wait(&mut self, _time: Duration) {}

    fn describe(&self) -> Description {
        Description { source: "fixture".into(), ..Description::default() }
    }

    fn counters(&self) -> Counters {
        Counters::default()
    }
}

/// A fixture that is looked at.
pub(crate) struct Fixture {
    pub(crate) image: Arc<Image>,
    ram: Shared,
    sampler: Sampler,
}

impl Fixture {
    pub(crate) fn new(source: &str, flags: &[&str]) -> Self {
        Self::of(compile(&[source], flags))
    }

    pub(crate) fn of(image: Image) -> Self {
        let memories = layout::memories(&image, &[]);
        Self::within(image, memories)
    }

    /// The same where that is what is known of memory. What may be RAM behind it can be read where nobody told its end.
    pub(crate) fn within(image: Image, memories: Vec<Memory>) -> Self {
        let image = Arc::new(image);
        let content = loaded(&image, RAM);
        let ram = Ram {
            image: Arc::clone(&image),
            memories: memories.iter().map(|memory| memory.range).collect(),
            content,
            now: Duration::ZERO,
            vectors: 0,
            torn: None,
            after: None,
        };
        let ram = Shared(Arc::new(Mutex::new(ram)));
        let sampler = Sampler::new(Box::new(ram.clone()), Arc::clone(&image), memories, Options::default());
        Self { sampler: sampler.expect("the link works"), image, ram }
    }

    /// The address of a symbol, and a field of its type when `path` names one.
    pub(crate) fn address(&self, symbol: &str, path: &str) -> u32 {
        let variable = self.image.variable(symbol).unwrap_or_else(|| panic!("{symbol} is described"));
        let address = self.image.symbols.address(symbol).expect("it has a symbol");
        if path.is_empty() {
            return address;
        }
        address + variable.kind.field(path).unwrap_or_else(|| panic!("{symbol} has {path}")).offset
    }

    pub(crate) fn poke(&mut self, address: u32, word: u32) {
        let offset = RAM.offset_of(address).expect("it is in RAM") as usize;
        let mut ram = self.ram.0.lock().expect("nobody panicked");
        ram.content[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    }

    /// Lets the word at `address` read as `word` the next `times`.
    pub(crate) fn tear(&mut self, address: u32, word: u32, times: u32) {
        self.ram.0.lock().expect("nobody panicked").torn = Some((address, word, times));
    }

    /// Lets the word at `address` become `word` right after it is read the next time.
    pub(crate) fn then(&mut self, address: u32, word: u32) {
        self.ram.0.lock().expect("nobody panicked").after = Some((address, word));
    }

    /// The word at `address`.
    pub(crate) fn peek(&self, address: u32) -> u32 {
        let offset = RAM.offset_of(address).expect("it is in RAM") as usize;
        let ram = self.ram.0.lock().expect("nobody panicked");
        u32::from_le_bytes(ram.content[offset..offset + 4].try_into().expect("four bytes"))
    }

    /// Puts the vector table there.
    pub(crate) fn vectors_at(&mut self, address: u32) {
        self.ram.0.lock().expect("nobody panicked").vectors = address;
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.ram.0.lock().expect("nobody panicked").now += time;
    }

    /// One refresh.
    pub(crate) fn refresh(&mut self) -> Snapshot {
        self.pass(Duration::from_millis(150));
        self.sampler.refresh().snapshot
    }

    /// What is known after the paint is believed and every stack was read.
    pub(crate) fn look(&mut self) -> Snapshot {
        self.refresh();
        self.refresh();
        self.pass(Duration::from_millis(150));
        self.sampler.refresh_thoroughly().snapshot
    }
}

/// The stack of that name.
pub(crate) fn stack<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Stack {
    let found = snapshot.stacks.iter().find(|stack| stack.name == name);
    found.unwrap_or_else(|| panic!("{name} is not among {:?}: {:?}", names(snapshot), snapshot.hints))
}

/// The names of all stacks, sorted.
pub(crate) fn names(snapshot: &Snapshot) -> Vec<&str> {
    let mut names: Vec<&str> = snapshot.stacks.iter().map(|stack| stack.name.as_str()).collect();
    names.sort_unstable();
    names
}

/// The exact peak of a stack in words; `None` when it is not painted.
pub(crate) fn peak(snapshot: &Snapshot, name: &str) -> Option<u32> {
    let peak = stack(snapshot, name).peak?;
    assert_eq!(peak.trust, Trust::Exact, "{name}");
    Some(peak.bytes / 4)
}

/// Whether a hint says all of `words`.
pub(crate) fn hints(snapshot: &Snapshot, words: &[&str]) -> bool {
    snapshot.hints.iter().any(|hint| words.iter().all(|word| hint.contains(word)))
}
