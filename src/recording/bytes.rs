//! Numbers and texts as bytes, and back.

use super::RecordingError;

/// Appends a number as LEB128.
pub(super) fn put(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// Appends a difference, small ones in either direction as few bytes (zigzag).
pub(super) fn put_difference(into: &mut Vec<u8>, from: u64, to: u64) {
    let difference = to.wrapping_sub(from) as i64;
    put(into, (difference << 1 ^ difference >> 63) as u64);
}

/// Appends a text with its length.
pub(super) fn put_text(into: &mut Vec<u8>, text: &str) {
    put(into, text.len() as u64);
    into.extend(text.as_bytes());
}

/// Bytes that are taken from the front. Everything that is not there is damage.
pub(super) struct Taken<'a>(pub(super) &'a [u8]);

impl<'a> Taken<'a> {
    /// So many bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], RecordingError> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or(RecordingError::Damaged("it says less than it counts"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// One byte.
    pub(super) fn byte(&mut self) -> Result<u8, RecordingError> {
        Ok(self.bytes(1)?[0])
    }

    /// A number as LEB128.
    pub(super) fn number(&mut self) -> Result<u64, RecordingError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(RecordingError::Damaged("a number has no end"))
    }

    /// A number that fits into 32 bits.
    pub(super) fn word(&mut self) -> Result<u32, RecordingError> {
        u32::try_from(self.number()?).map_err(|_| RecordingError::Damaged("a number is too large"))
    }

    /// A number that counts things in memory.
    pub(super) fn count(&mut self) -> Result<usize, RecordingError> {
        usize::try_from(self.number()?).map_err(|_| RecordingError::Damaged("a count is too large"))
    }

    /// What a difference from `from` leads to.
    pub(super) fn difference(&mut self, from: u64) -> Result<u64, RecordingError> {
        let number = self.number()?;
        Ok(from.wrapping_add((number >> 1) ^ (number & 1).wrapping_neg()))
    }

    /// A text with its length.
    pub(super) fn text(&mut self) -> Result<String, RecordingError> {
        let count = self.count()?;
        Ok(String::from_utf8_lossy(self.bytes(count)?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_is_taken(number: u64, from: u64, to: u64, text: String) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            put_difference(&mut bytes, from, to);
            put_text(&mut bytes, &text);
            let mut taken = Taken(&bytes);
            prop_assert_eq!(taken.number().unwrap(), number);
            prop_assert_eq!(taken.difference(from).unwrap(), to);
            prop_assert_eq!(taken.text().unwrap(), text);
            prop_assert!(taken.0.is_empty() && taken.byte().is_err());
        }

        #[test]
        fn damage_is_an_error(bytes: Vec<u8>) {
            let mut taken = Taken(&bytes);
            while taken.text().is_ok() {}
            let _ = (Taken(&bytes).word(), Taken(&bytes).difference(1));
        }
    }
}
