//! What is told of one function or static when somebody selects it: where it is written, its type, what is linked in it.

use super::tasks::{self, Task};
use crate::image::symbols::demangle;
use crate::image::values::{self, Look, Row};
use crate::image::{Image, layout};
use crate::region::Region;

/// The most bytes of one field that are looked at.
const MOST_BYTES: u32 = 64 << 10;

/// What the debug information and the linked bytes tell of one function or static.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Where the program uses it.
    pub range: Region,
    /// Where its author wrote it: the end of the path and the line.
    pub source: Option<(String, u32)>,
    /// Its type; `None` for functions, and where nothing tells it.
    pub kind: Option<String>,
    /// The async task whose memory it is.
    pub task: Option<Task>,
    /// Its fields with what the linker put in them; empty where nothing tells its type.
    pub linked: Vec<Row>,
}

/// What `image` tells of what lies in `range`.
#[must_use]
pub fn tell(image: &Image, range: Region) -> Told {
    let is_code = image.symbols.at(range.start()).is_some_and(|symbol| symbol.is_code);
    if is_code {
        // The last frame is the function itself, whatever was inlined at its beginning.
        let frames = image.lines().at(range.start());
        let source = frames.last().and_then(|frame| Some((frame.file.clone()?, frame.line?)));
        return Told { range, source, ..Told::default() };
    }
    let Some(variable) = image.variable_at(range.start()) else { return Told { range, ..Told::default() } };
    Told {
        range,
        source: variable.declared.map(|(file, line)| (file.to_owned(), line)),
        kind: Some(variable.kind.name()),
        task: tasks::at(image, range),
        linked: values::rows(&variable, &mut Linked(image)),
    }
}

/// The bytes as the program finds them when it begins: those of the file, and zeros where startup code clears.
struct Linked<'a>(&'a Image);

impl Look for Linked<'_> {
    fn bytes(&mut self, range: Region) -> Option<Vec<u8>> {
        if range.size() > MOST_BYTES {
            return None;
        }
        if let Some(bytes) = self.0.bytes(range) {
            return Some(bytes.to_vec());
        }
        let cleared =
            self.0.sections.iter().any(|section| section.run.covers(range) && layout::starts_as_zero(section));
        cleared.then(|| vec![0; range.size() as usize])
    }

    fn name(&self, address: u32) -> Option<String> {
        self.0.symbols.at(address).map(|symbol| demangle(&symbol.name))
    }
}
