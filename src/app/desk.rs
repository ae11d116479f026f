//! Works out who owns the memory, and what is told of one function or static, on a thread of its own: the debug
//! information of a large ELF takes longer to read than a picture may.

use std::sync::{Arc, mpsc};
use std::{io, thread};

use crate::image::Image;
use crate::image::layout::Memory;
use crate::inventory::owner::Names;
use crate::inventory::{Inventory, told};
use crate::region::Region;
use crate::tui::symbols::Shared;

/// What there is to do.
enum Job {
    /// Tell who owns these memories.
    Build(Arc<Image>, Vec<Memory>),
    /// Tell what lies in this range.
    Tell(Region),
}

/// Takes a build to be worked out.
#[derive(Clone)]
pub(super) struct Desk(mpsc::Sender<Job>);

impl Desk {
    /// A desk, and where its answers appear.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(super) fn open() -> io::Result<(Self, Shared)> {
        let (jobs, waiting) = mpsc::channel();
        let asked = jobs.clone();
        // A desk that is closed answers no more: its thread broke down, which the log tells.
        let shared = Shared::expected_from(move |range| drop(asked.send(Job::Tell(range))));
        let answers = shared.clone();
        thread::Builder::new().name("symbols".into()).spawn(move || work(&waiting, &answers))?;
        Ok((Self(jobs), shared))
    }

    /// Has a build worked out, in place of the one before.
    pub(super) fn hand_in(&self, image: Arc<Image>, memories: Vec<Memory>) {
        drop(self.0.send(Job::Build(image, memories)));
    }
}

fn work(waiting: &mpsc::Receiver<Job>, answers: &Shared) {
    let mut current: Option<Arc<Image>> = None;
    while let Ok(job) = waiting.recv() {
        match job {
            Job::Build(image, memories) => {
                let names = Names { units: image.units(), ..Names::default() };
                answers.set(Inventory::new(&image, &memories, &names));
                current = Some(image);
            }
            Job::Tell(range) => {
                if let Some(image) = &current {
                    answers.tell(told::tell(image, range));
                }
            }
        }
    }
}
