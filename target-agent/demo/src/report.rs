//! Text in a buffer of fixed size: formatted printing for a firmware without a console.

use core::fmt;

/// A line of text; what does not fit is cut off.
pub struct Line<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

impl<'a> Line<'a> {
    /// An empty line in `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, used: 0 }
    }

    /// The bytes written so far.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.used]
    }
}

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.buffer[self.used..];
        let count = room.len().min(text.len());
        room[..count].copy_from_slice(&text.as_bytes()[..count]);
        self.used += count;
        Ok(())
    }
}
